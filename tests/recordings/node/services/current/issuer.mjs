// An identity provider whose access tokens are signed and carry an audience: who takes them fetches its keys.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const provider = new Provider('http://127.0.0.1', {
  clients: [{
    client_id: 'reader', client_secret: 'reader-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  }],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, audience) => ({ scope: 'vault:read vault:write', audience, accessTokenFormat: 'jwt' }),
    },
  },
});
const server = createServer(provider.callback());
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
