'use strict';

/** The value of an environment variable that has no default. */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

module.exports = { required };
