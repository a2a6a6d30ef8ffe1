'use strict';

// The storefront's files in its bucket: uploaded after a deploy, removed before the bucket is.

const fs = require('node:fs');
const path = require('node:path');

// osls brings them along.
const { DescribeStacksCommand } = require('@aws-sdk/client-cloudformation');
const { DeleteObjectsCommand, ListObjectVersionsCommand, PutObjectCommand, S3Client } = require('@aws-sdk/client-s3');

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/** Puts web/ and its configuration into the bucket, and removes the files that are no longer in web/. */
async function upload(provider, folder, flow) {
  const outputs = await outputsOf(provider);
  const s3 = await clientOf(provider);
  const web = path.join(folder, 'web');
  const files = new Map(filesIn(web).map((name) => [name, fs.readFileSync(path.join(web, name))]));
  files.set('config.json', Buffer.from(JSON.stringify(configuration(provider, outputs, flow))));
  for (const [Key, Body] of files) {
    const ContentType = TYPES[path.extname(Key)];
    if (!ContentType) throw new Error(`web/${Key}: add its content type to tools/storefront.js`);
    // no-cache: a browser revalidates the file each time, so that a deploy is visible at once.
    await s3.send(new PutObjectCommand({ Bucket: outputs.WebBucketName, Key, Body, ContentType, CacheControl: 'no-cache' }));
  }
  await remove(s3, outputs.WebBucketName, (key) => !files.has(key));
  process.stderr.write(`The storefront is at ${outputs.WebUrl}\n`);
}

/** Empties the bucket, if the stack has one: CloudFormation does not remove a bucket with files. */
async function empty(provider) {
  const { WebBucketName } = await outputsOf(provider);
  if (WebBucketName) await remove(await clientOf(provider), WebBucketName, () => true);
}

/** The page's config.json, with the flow of events as `python -m tools.flow` prints it. Only stage local has the panel that breaks things. */
function configuration(provider, outputs, flow) {
  return {
    stage: provider.getStage(),
    region: provider.getRegion(),
    apiUrl: '/api',
    cognitoUrl: outputs.CognitoUrl,
    userPoolClientId: outputs.UserPoolClientId,
    breakIt: false,
    topology: flow,
  };
}

/** Whether CloudFormation would refuse to delete the stack. */
async function isProtected(provider) {
  return (await stackOf(provider)).EnableTerminationProtection === true;
}

/** The stack's outputs by their names. */
async function outputsOf(provider) {
  const { Outputs = [] } = await stackOf(provider);
  return Object.fromEntries(Outputs.map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue]));
}

/** CloudFormation's description of the stack; empty if there is none. */
async function stackOf(provider) {
  const cloudFormation = await provider.getCloudFormationClient();
  try {
    const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName: provider.naming.getStackName() }));
    return Stacks[0];
  } catch (error) {
    if (/does not exist/.test(error.message)) return {};
    throw error;
  }
}

async function clientOf(provider) {
  return new S3Client(await provider.getAwsSdkV3Config());
}

function filesIn(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
}

/** Deletes all versions: somebody may have switched versioning on, and CloudFormation would then not remove the bucket. */
async function remove(s3, Bucket, isUnwanted) {
  let next = {};
  do {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket, ...next }));
    const Objects = [...(page.Versions || []), ...(page.DeleteMarkers || [])]
      .filter(({ Key }) => isUnwanted(Key))
      .map(({ Key, VersionId }) => ({ Key, VersionId }));
    if (Objects.length) await deleteAll(s3, Bucket, Objects);
    next = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  } while (next.KeyMarker);
}

async function deleteAll(s3, Bucket, Objects) {
  const { Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
  if (Errors && Errors.length) throw new Error(`${Bucket} keeps ${Errors[0].Key}: ${Errors[0].Message}`);
}

module.exports = { upload, empty, isProtected };
