"""The storefront on AWS, as the template has it: there with `--param storefront=true`, and without it not at all."""

import json
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from local.storefront.headers import headers
from tests.tools.test_template import Template, of_type, package, the
from tools.checkout import ROOT

COGNITO = " https://cognito-idp.${AWS::Region}.${AWS::URLSuffix}"
SOCKETS = " wss://${WebsocketsApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
FILES, API = "658327ea-f89d-4fab-a63d-7e88639e58f6", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""AWS's cache policies CachingOptimized and CachingDisabled."""
VIEWER_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
"""AWS's origin request policy AllViewerExceptHostHeader: API Gateway responds at its own name only."""


@pytest.fixture(scope="module")
def template() -> Template:
    return package("dev", storefront="true")


@pytest.fixture(scope="module")
def without() -> Template:
    return package("dev")


@pytest.fixture(scope="module")
def distribution(template: Template) -> Any:
    return the(template, "AWS::CloudFront::Distribution")["DistributionConfig"]


def test_it_is_only_there_when_it_is_asked_for(template: Template, without: Template) -> None:
    more = template["Resources"].keys() - without["Resources"].keys()

    feed = {name for name in more if any(word in name.lower() for word in ("feed", "websockets", "ticket"))}
    assert {name for name in more - feed if not name.startswith("Storefront")} == set()
    assert len(more - feed) == 6
    assert template["Resources"].keys() >= without["Resources"].keys()
    assert template["Outputs"].keys() - without["Outputs"].keys() == {
        *("WebUrl", "WebBucketName", "CognitoUrl"),
        *("WebSocketUrl", "ServiceEndpointWebsocket"),
    }


def test_only_our_websocket_api_may_invoke_the_feed(template: Template) -> None:
    permission = template["Resources"]["OrderFeedLambdaPermissionWebsockets"]["Properties"]
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${WebsocketsApi}/*")


def test_the_websocket_api_is_throttled_like_the_http_api(template: Template) -> None:
    stages = [template["Resources"][name]["Properties"] for name in ("HttpApiStage", "WebsocketsDeploymentStage")]
    assert stages[0]["DefaultRouteSettings"] == stages[1]["DefaultRouteSettings"]


def test_the_headers_are_those_of_the_local_server(template: Template) -> None:
    policy = the(template, "AWS::CloudFront::ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    security = policy["SecurityHeadersConfig"]
    content = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    custom = {each["Header"].lower(): each["Value"] for each in policy["CustomHeadersConfig"]["Items"]}

    assert COGNITO + SOCKETS in content
    assert {
        **custom,
        "content-security-policy": content.replace(COGNITO, "").replace(SOCKETS, ""),
        "x-content-type-options": "nosniff",
        "x-frame-options": security["FrameOptions"]["FrameOption"],
        "referrer-policy": security["ReferrerPolicy"]["ReferrerPolicy"],
    } == headers()
    assert security["ContentTypeOptions"]["Override"] is True
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 365 * 24 * 3600


def test_every_path_gets_the_headers_and_none_goes_unencrypted(distribution: Any) -> None:
    behaviours = [distribution["DefaultCacheBehavior"], *distribution["CacheBehaviors"]]

    assert [each["ResponseHeadersPolicyId"] for each in behaviours] == [{"Ref": "StorefrontHeaders"}] * 2
    assert [each["ViewerProtocolPolicy"] for each in behaviours] == ["redirect-to-https", "https-only"]
    assert [origin["Id"] for origin in distribution["Origins"] if "CustomOriginConfig" in origin] == ["api"]
    assert distribution["Origins"][1]["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"


def test_the_api_is_below_api_and_never_cached_and_hears_who_asks(distribution: Any) -> None:
    [api] = distribution["CacheBehaviors"]

    assert (api["PathPattern"], api["TargetOriginId"], api["CachePolicyId"]) == ("/api/*", "api", API)
    assert api["OriginRequestPolicyId"] == VIEWER_BUT_HOST
    assert "POST" in api["AllowedMethods"]
    assert distribution["DefaultCacheBehavior"]["CachePolicyId"] == FILES


@pytest.mark.parametrize(
    ("asked", "passed_on"),
    [
        ("/api/products", "/products"),
        ("/api/orders/1/events", "/orders/1/events"),
        ("/api/orders/api/1", "/orders/api/1"),
        ("/api/api/products", "/api/products"),
        ("/api/", "/"),
    ],
)
def test_the_api_s_own_paths_have_no_api(template: Template, distribution: Any, asked: str, passed_on: str) -> None:
    [association] = distribution["CacheBehaviors"][0]["FunctionAssociations"]
    code = the(template, "AWS::CloudFront::Function")["FunctionCode"]
    event = json.dumps({"request": {"method": "GET", "uri": asked}})

    ran = subprocess.run(["node", "-p", f"{code}; handler({event}).uri"], capture_output=True, text=True, check=True)

    assert association["EventType"] == "viewer-request"
    assert ran.stdout == f"{passed_on}\n"


def test_who_may_deploy_may_deploy_this_as_well(template: Template) -> None:
    policy = json.loads((ROOT / "docs" / "deploy-policy.json").read_text())
    allowed = {action.partition(":")[0] for each in policy["Statement"] for action in each["Action"]} | {"s3"}
    added = {each["Type"] for name, each in template["Resources"].items() if name.startswith("Storefront")}

    assert {kind.split("::")[1].lower() for kind in added} == {"cloudfront", "s3"} <= allowed


def test_nobody_but_our_distribution_may_read_the_files_and_nobody_without_tls(template: Template) -> None:
    bucket = template["Resources"]["StorefrontBucketPolicy"]
    read, listed, unencrypted = bucket["Properties"]["PolicyDocument"]["Statement"]

    for statement, action in ((read, "s3:GetObject"), (listed, "s3:ListBucket")):
        assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        assert statement["Action"] == action
        assert "distribution/${StorefrontDistribution}" in json.dumps(statement["Condition"]["StringEquals"])
    assert (unencrypted["Effect"], unencrypted["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    properties = of_type(template, "AWS::S3::Bucket")["StorefrontBucket"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketName" not in properties


class RefusingBucket(BaseHTTPRequestHandler):
    """S3 with one file, which it does not let go: it says so in an answer that is 200 all the same."""

    LISTED = (
        "<ListVersionsResult><Version><Key>index.html</Key><VersionId>null</VersionId></Version></ListVersionsResult>"
    )
    KEPT = "<DeleteResult><Error><Key>index.html</Key><Message>Access Denied</Message></Error></DeleteResult>"

    def do_GET(self) -> None:
        self.answer(self.LISTED)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(self.KEPT)

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


PROVIDER = """{
  naming: { getStackName: () => 'order-processing-dev' },
  getCloudFormationClient: async () => ({
    send: async () => ({ Stacks: [{ Outputs: [{ OutputKey: 'WebBucketName', OutputValue: 'files' }] }] }),
  }),
  getAwsSdkV3Config: async () => ({
    endpoint: process.argv[1], forcePathStyle: true, region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
  }),
}"""


def test_a_file_that_can_not_be_deleted_stops_the_removal_with_its_name() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), RefusingBucket) as bucket:
        Thread(target=bucket.serve_forever, daemon=True).start()
        script = f"require('./tools/storefront.js').empty({PROVIDER})"
        ran = subprocess.run(
            ["node", "-e", script, f"http://127.0.0.1:{bucket.server_port}"], cwd=ROOT, capture_output=True, text=True
        )
        bucket.shutdown()

    assert ran.returncode == 1
    assert "files keeps index.html: Access Denied" in ran.stderr


def test_the_feed_is_a_consumer_like_any_other(template: Template) -> None:
    """An event that it fails on, or never gets, becomes a dead letter, and an alarm fires."""
    resources = template["Resources"]
    [rule] = [name for name, each in resources.items() if each["Type"] == "AWS::Events::Rule" and "orderFeed" in name]
    [target] = resources[rule]["Properties"]["Targets"]
    queue = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": queue}
    assert json.dumps({"Fn::GetAtt": [rule, "Arn"]}) in json.dumps(resources["DeadLetterQueuePolicy"])
    assert resources["OrderFeedLambdaEvConf"]["Properties"]["DestinationConfig"] == {
        "OnFailure": {"Destination": queue}
    }
    assert resources["OrderFeedErrors"]["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
