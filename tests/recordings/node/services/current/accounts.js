// Logs people in: passport's local strategy, and a session for whom it knows.
const express = require('express');
const session = require('express-session');
const passport = require('passport');
const { Strategy } = require('passport-local');
const listen = require('./listen');

const PASSWORDS = { vera: 'vera-secret' };
passport.use(new Strategy((username, password, done) => {
  done(null, PASSWORDS[username] === password && { id: username }, { message: 'Incorrect username or password.' });
}));
passport.serializeUser((user, done) => done(null, user.id));
passport.deserializeUser((id, done) => done(null, { id }));

const app = express();
app.use(express.json());
app.use(session({ secret: 'a secret of the recordings', resave: false, saveUninitialized: false }));
app.use(passport.session());
app.post('/login', passport.authenticate('local'), (req, res) => res.json({ user: req.user.id }));
// A browser without a session is sent to the login page.
app.get('/profile', function requireLogin(req, res, next) {
  if (!req.isAuthenticated()) return res.redirect('/login');
  next();
}, (req, res) => res.json(req.user));
listen(app);
