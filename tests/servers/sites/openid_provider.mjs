// A certified OpenID provider (npm: oidc-provider) with one client. Everybody may sign in under any
// name. Arguments: the folder of its packages, its issuer, where the client's pages for it begin.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';

const [, , packages, issuer, client] = process.argv;
const { Provider } = await import(`${packages}/oidc-provider/lib/index.js`);
// New keys at each start.
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), kid: `${Date.now()}`, use: 'sig', alg: 'RS256' };

// The client's host has no address in DNS: the file beside this one says where it listens.
function post(url, { headers, body }) {
  const { host, pathname } = new URL(url);
  const [address, port] = readFileSync(new URL('client.address', import.meta.url), 'utf8').split(':');
  const all = { ...Object.fromEntries(new Headers(headers)), host };
  const options = { host: address, port, path: pathname, method: 'POST', headers: all };
  return new Promise((resolve, reject) => {
    const sent = request(options, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(new Response(null, { status: answer.statusCode })));
    });
    sent.on('error', reject);
    sent.end(`${body}`);
  });
}

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'doorward',
    client_secret: 'a secret for tests only',
    redirect_uris: [`${client}/callback`],
    backchannel_logout_uri: `${client}/signed-out`,
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  jwks: { keys: [key] },
  cookies: { keys: ['a secret for tests only'] },
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
  fetch: post,
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
