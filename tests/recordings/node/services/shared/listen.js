// Says on which port a server listens, for the recorder to read.
module.exports = (server) => {
  const listening = server.listen(0, '127.0.0.1', () => console.log(`listening on ${listening.address().port}`));
};
