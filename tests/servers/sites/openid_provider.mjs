// A certified OpenID provider (npm: oidc-provider) with one client. Everybody may sign in under any
// name. Arguments: the folder of its packages, its issuer, the redirect URI.
import { generateKeyPairSync } from 'node:crypto';

const [, , packages, issuer, redirect] = process.argv;
const { Provider } = await import(`${packages}/oidc-provider/lib/index.js`);
// New keys at each start.
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: `${Date.now()}`, use: 'sig', alg: 'RS256' };

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'doorward',
    client_secret: 'a secret for tests only',
    redirect_uris: [redirect],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  jwks: { keys: [key] },
  cookies: { keys: ['a secret for tests only'] },
  features: { devInteractions: { enabled: true } },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
  },
  async findAccount(_, id) {
    return {
      accountId: id,
      async claims() {
        return {
          sub: id,
          email: `${id}@example.com`,
          email_verified: true,
          name: `${id} Example`,
          preferred_username: id,
        };
      },
    };
  },
  pkce: { required: () => true },
});
provider.listen(Number(new URL(issuer).port), '127.0.0.1');
