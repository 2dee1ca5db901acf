// A vault behind express-oauth2-jwt-bearer: an issuer's signature, an audience, and a scope for writing.
const express = require('express');
const { auth, requiredScopes } = require('express-oauth2-jwt-bearer');
const listen = require('./listen');

const app = express();
app.use(auth({ issuer: 'http://127.0.0.1', jwksUri: process.env.KEYS, audience: 'urn:vault', timeoutDuration: 1500 }));
app.get('/secrets', (req, res) => res.json([]));
app.use('/keys', requiredScopes('vault:write'));
app.post('/keys', (req, res) => res.status(201).json({}));
listen(app);
