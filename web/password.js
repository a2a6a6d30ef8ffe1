// The rule for a password, which is Cognito's default: the page says what is missing before Cognito refuses.

export const PASSWORD_RULE = 'At least 8 characters: upper and lower case, a number and a symbol.';

const PARTS = [
  [/^.{8,}$/su, 'at least 8 characters'],
  [/[a-z]/, 'a lower-case letter'],
  [/[A-Z]/, 'an upper-case letter'],
  [/[0-9]/, 'a number'],
  [/[\^$*.[\]{}()?\-"!@#%&/\\,><':;|_~`+=]|(?<=\S) (?=\S)/, 'a symbol, like ! or -'],
];

/** The missing parts of a password, in words, or null. */
export function weakness(password) {
  const missing = PARTS.filter(([part]) => !part.test(password)).map(([, name]) => name);
  return missing.length ? `The password still needs ${new Intl.ListFormat('en').format(missing)}.` : null;
}
