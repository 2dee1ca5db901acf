// An identity provider: tokens for clients that prove themselves, and introspection.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const client = (client_id, client_secret) => ({
  client_id, client_secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
});
const provider = new Provider('http://127.0.0.1', {
  clients: [client('portal', 'portal-secret'), client('reporter', 'reporter-secret')],
  features: { clientCredentials: { enabled: true }, introspection: { enabled: true }, devInteractions: { enabled: false } },
});
const server = createServer(provider.callback());
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
