// Sign up and in with Amazon Cognito, straight from the browser: its user pool API needs no SDK.

const MESSAGES = {
  NotAuthorizedException: 'The e-mail address or the password is wrong.',
  UserNotFoundException: 'The e-mail address or the password is wrong.',
  UsernameExistsException: 'An account with this address already exists. Sign in instead.',
  CodeMismatchException: 'That is not the code that we sent.',
  ExpiredCodeException: 'That code has expired. Ask for a new one.',
  LimitExceededException: 'Too many attempts. Wait a while, then try again.',
  TooManyRequestsException: 'Too many attempts. Wait a while, then try again.',
};

export class CognitoError extends Error {
  constructor(code, message) {
    super(MESSAGES[code] ?? message);
    this.code = code;
  }
}

export class Cognito {
  constructor(config) {
    this.url = config.cognitoUrl;
    this.clientId = config.userPoolClientId;
  }

  signUp(email, password) {
    const attributes = [{ Name: 'email', Value: email }];
    return this.#request('SignUp', { Username: email, Password: password, UserAttributes: attributes });
  }

  confirm(email, code) {
    return this.#request('ConfirmSignUp', { Username: email, ConfirmationCode: code });
  }

  sendCodeAgain(email) {
    return this.#request('ResendConfirmationCode', { Username: email });
  }

  forgot(email) {
    return this.#request('ForgotPassword', { Username: email });
  }

  setPassword(email, code, password) {
    return this.#request('ConfirmForgotPassword', { Username: email, ConfirmationCode: code, Password: password });
  }

  /** The ID token. */
  async signIn(email, password) {
    const { AuthenticationResult } = await this.#request('InitiateAuth', {
      AuthFlow: 'USER_PASSWORD_AUTH',
      AuthParameters: { USERNAME: email, PASSWORD: password },
    });
    return AuthenticationResult.IdToken;
  }

  async #request(operation, parameters) {
    let response;
    try {
      response = await fetch(this.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': `AWSCognitoIdentityProviderService.${operation}`,
        },
        body: JSON.stringify({ ClientId: this.clientId, ...parameters }),
      });
    } catch {
      throw new CognitoError('Unreachable', "The sign-in can't be reached. Check your network, and that npm start is running.");
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    const code = (body.__type ?? '').split('#').pop();
    throw new CognitoError(code, body.message ?? body.detail ?? 'The sign-in does not respond. Try again in a moment.');
  }
}
