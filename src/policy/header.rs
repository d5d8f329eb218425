//! Request headers that applications and servers trust because a proxy sets them. One table lists
//! each name with what it claims and which software sets or reads it. Visitors must not send any of
//! them.
//!
//! Names are compared as CGI compares them: letter case is folded, and every byte that is not a
//! letter or digit becomes `_` (RFC 3875 §4.1.18; oauth2-proxy, CVE-2025-64484). So `rEMOTE_uSER`
//! and `Remote.User` both become `HTTP_REMOTE_USER`. Some programs look for a header with that very
//! name, so a prefix `HTTP_` is ignored.
//!
//! The table leaves out names that client software sends with credentials: `X-Auth-User` with
//! `X-Auth-Key` (Swift), `X-User-Id` with `X-Auth-Token` (Rocket.Chat), `X-User-Token`. The names
//! that an operator chooses for `identity_headers` are removed as well.

/// What a header claims by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Who the visitor is, or that somebody has authenticated them.
    Identity,
    /// That the connection is encrypted, or the visitor's client certificate.
    Tls,
    /// The visitor's address.
    Address,
    /// The host, scheme or path of the request.
    Target,
    /// Something that servers tell themselves.
    Server,
}

/// What a header of this name claims, in any spelling; `None` if no application is known to trust
/// it.
///
/// Called for every header of every request: it does not allocate, and compares only with the few
/// names of the table that begin with the same two letters.
#[inline]
pub fn claim(name: &[u8]) -> Option<Claim> {
    if begins_like_one(name) { claim_closely(name) } else { None }
}

/// Whether a name that claims something may begin with the same two letters; `false` is certain.
#[inline]
fn begins_like_one(name: &[u8]) -> bool {
    let [first, second, ..] = name else { return false };
    let [first, second] = [first, second].map(|byte| LETTER[usize::from(*byte)]);
    BEGINNINGS[usize::from(first)] >> second & 1 == 1
}

fn claim_closely(name: &[u8]) -> Option<Claim> {
    let first = name.first()?.to_ascii_lowercase();
    if first == b'h'
        && let Some(rest) = rest_behind(name, b"http-")
    {
        return claim(rest);
    }
    let extension = if first == b'x' { rest_behind(name, b"x-") } else { None };
    let (index, rest) = extension.map_or((&OTHERS, name), |rest| (&EXTENSIONS, rest));
    let (from, to) = *index.get(bucket(*rest.first()?, *rest.get(1)?))?;
    let mut found = None;
    for (known, claims, _) in TABLE.get(usize::from(from)..usize::from(to))? {
        match known.as_bytes().strip_suffix(b"*") {
            Some(family) if rest_behind(name, family).is_some() => found = Some(*claims),
            None if is_folded(name, known.as_bytes()) => return Some(*claims),
            _ => {}
        }
    }
    found
}

/// What follows `folded` in `name`, if `name` begins with it when folded and is longer.
fn rest_behind<'n>(name: &'n [u8], folded: &[u8]) -> Option<&'n [u8]> {
    let (start, rest) = name.split_at_checked(folded.len())?;
    (!rest.is_empty() && is_folded(start, folded)).then_some(rest)
}

/// Whether `name` is `folded` when folded.
pub fn is_folded(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && name.iter().copied().map(fold).eq(folded.iter().copied())
}

/// A byte of a header name as CGI folds it.
pub const fn fold(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        letter @ (b'a'..=b'z' | b'0'..=b'9') => letter,
        _ => b'-',
    }
}

/// The range of the table for each two letters at the beginning, either after `x-` or of the other
/// names.
type Index = [(u8, u8); LETTERS * LETTERS];

static EXTENSIONS: Index = index(true);
static OTHERS: Index = index(false);

const fn bucket(first: u8, second: u8) -> usize {
    letter(first) as usize * LETTERS + letter(second) as usize
}

/// The number of a letter; everything else has the last one.
const fn letter(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => letter - b'a',
        _ => 26,
    }
}

const LETTERS: usize = 27;

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated when compiled, where it cannot go unnoticed"
)]
const fn index(of_extensions: bool) -> Index {
    assert!(TABLE.len() <= u8::MAX as usize);
    let mut index = [(0, 0); LETTERS * LETTERS];
    let mut at: u8 = 0;
    while (at as usize) < TABLE.len() {
        let name = TABLE[at as usize].0.as_bytes();
        let is_extension = name[0] == b'x' && name[1] == b'-';
        if is_extension == of_extensions {
            let first = if is_extension { 2 } else { 0 };
            let bucket = bucket(name[first], name[first + 1]);
            let (from, to) = index[bucket];
            index[bucket] = (if to == 0 { at } else { from }, at + 1);
        }
        at += 1;
    }
    index
}

/// The number of each letter.
static LETTER: [u8; 256] = {
    let (mut numbers, mut byte) = ([letter(0); 256], 0);
    while byte < u8::MAX {
        byte += 1;
        numbers[byte as usize] = letter(byte);
    }
    numbers
};

/// For each first letter, one bit for each second letter with which names begin that claim
/// something, in the table or behind `http-`.
static BEGINNINGS: [u32; LETTERS] = {
    let (mut beginnings, mut at) = ([0; LETTERS], 0);
    while at < TABLE.len() {
        let name = TABLE[at].0.as_bytes();
        beginnings[letter(name[0]) as usize] |= 1 << letter(name[1]);
        at += 1;
    }
    beginnings[letter(b'h') as usize] |= 1 << letter(b't');
    beginnings
};

use Claim::{Address, Identity, Server, Target, Tls};

/// Folded names, sorted. `*` at the end matches all longer names that begin with the rest; an exact
/// name takes precedence. The text names the software that sets or trusts the header.
const TABLE: &[(&str, Claim, &str)] = &[
    ("-ws*", Identity, "WebSphere's plug-in: `$WSRU` is the user, `$WSCC` the certificate"),
    ("affiliation", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("akamai-origin-hop", Server, "Akamai"),
    ("ali-cdn-real-ip", Address, "Alibaba Cloud CDN"),
    ("auth-groups", Identity, "LemonLDAP::NG"),
    ("auth-mail", Identity, "LemonLDAP::NG"),
    ("auth-type", Identity, "the CGI variable AUTH_TYPE"),
    ("auth-user", Identity, "the server variable AUTH_USER of IIS"),
    ("cas-*", Identity, "mod_auth_cas"),
    ("cdn-src-ip", Address, "ChinaCache and others"),
    ("cf-access-*", Identity, "Cloudflare Access"),
    ("cf-connecting-ip", Address, "Cloudflare"),
    ("cf-connecting-ipv6", Address, "Cloudflare"),
    ("cf-ipcountry", Address, "Cloudflare: the country of the address"),
    ("cf-pseudo-ipv4", Address, "Cloudflare"),
    ("cf-visitor", Tls, "Cloudflare: the visitor's scheme; WordPress plug-ins"),
    ("client-cert", Tls, "RFC 9440"),
    ("client-cert-chain", Tls, "RFC 9440"),
    ("client-ip", Address, "HTTP_CLIENT_IP, which PHP applications ask first"),
    ("cloudfront-viewer-*", Address, "Amazon CloudFront"),
    ("coming-from", Address, "old proxies; PHP applications"),
    ("do-connecting-ip", Address, "DigitalOcean"),
    ("doorward-*", Identity, "Doorward"),
    ("entitlement", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("eo-client-ip", Address, "Tencent EdgeOne"),
    ("eo-connecting-ip", Address, "Tencent EdgeOne"),
    ("eppn", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("fastly-client-ip", Address, "Fastly"),
    ("fastly-ssl", Tls, "Fastly"),
    ("fly-client-ip", Address, "Fly.io"),
    ("fly-forwarded-proto", Tls, "Fly.io"),
    ("fly-forwarded-ssl", Tls, "Fly.io"),
    ("forwarded", Address, "RFC 7239"),
    ("forwarded-for", Address, "old proxies; request-ip and its like"),
    ("forwarded-for-ip", Address, "old proxies; PHP applications"),
    ("forwarded-proto", Tls, "old proxies"),
    ("front-end-https", Tls, "Microsoft ISA and TMG; Yii, Exchange"),
    ("https", Tls, "HTTP_HTTPS; WooCommerce"),
    ("incap-client-ip", Address, "Imperva Incapsula"),
    ("iv-*", Identity, "IBM Verify Access (WebSEAL): iv-user, iv-groups, iv-creds"),
    ("kubeflow-*", Identity, "Kubeflow: kubeflow-userid, kubeflow-groups"),
    ("logon-user", Identity, "the server variable LOGON_USER of IIS"),
    ("mellon-*", Identity, "mod_auth_mellon"),
    ("ms-aspnetcore-*", Identity, "IIS before ASP.NET Core: token, user, certificate"),
    ("oam-*", Identity, "Oracle Access Manager: OAM_REMOTE_USER"),
    ("oidc-*", Identity, "mod_auth_openidc: OIDC_CLAIM_sub"),
    ("osso-*", Identity, "Oracle Single Sign-On"),
    ("pairwise-id", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("path-info", Target, "gunicorn's forwarder_headers"),
    ("path-translated", Target, "the CGI variable PATH_TRANSLATED"),
    ("persistent-id", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("proxy", Server, "HTTP_PROXY, the proxy of what the application fetches (CVE-2016-5385)"),
    ("proxy-auth-cert", Tls, "Jetty's ForwardedRequestCustomizer"),
    ("proxy-client-ip", Address, "WebLogic's plug-in; Java applications"),
    ("proxy-remote-user", Identity, "Oracle HTTP Server"),
    ("proxy-ssl-id", Tls, "Jetty's ForwardedRequestCustomizer"),
    ("proxy-user", Identity, "Oracle HTTP Server"),
    ("redirect-*", Identity, "apache's variables after a redirect: REDIRECT_REMOTE_USER"),
    ("remote-*", Identity, "REMOTE_USER (RFC 3875 §4.1.11); Authelia; Doorward"),
    ("request-base", Target, "Dancer2"),
    ("request-uri", Target, "the CGI variable REQUEST_URI"),
    ("script-name", Target, "gunicorn's forwarder_headers"),
    ("shib-*", Identity, "Shibboleth with ShibUseHeaders"),
    ("shiny-server-credentials", Identity, "Shiny Server, RStudio Connect"),
    ("sm-*", Identity, "SiteMinder: SM_USER, SM_UNIVERSALID"),
    ("ssl-*", Tls, "mod_ssl's SSL_CLIENT_S_DN, Tomcat's SSLValve, ingress-nginx"),
    ("subject-id", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("tailscale-*", Identity, "Tailscale Serve: Tailscale-User-Login"),
    ("teleport-*", Identity, "Teleport: Teleport-Jwt-Assertion"),
    ("true-client-ip", Address, "Akamai, Cloudflare"),
    ("unscoped-affiliation", Identity, "Shibboleth's attributes with ShibUseHeaders"),
    ("webauth-*", Identity, "Stanford WebAuth"),
    ("wl-proxy-*", Tls, "WebLogic's plug-in: WL-Proxy-SSL, WL-Proxy-Client-Cert"),
    ("wl-proxy-client-ip", Address, "WebLogic's plug-in; Java applications"),
    ("x-accel-*", Server, "Rack::Sendfile: X-Accel-Mapping (CVE-2025-61780)"),
    ("x-alfresco-remote-user", Identity, "Alfresco"),
    ("x-amzn-mtls-*", Tls, "AWS load balancers"),
    ("x-amzn-oidc-*", Identity, "AWS load balancers"),
    ("x-anonymous-consumer", Identity, "Kong"),
    ("x-apigateway-api-userinfo", Identity, "Google API Gateway"),
    ("x-appengine-*", Identity, "Google App Engine: X-AppEngine-User-Email"),
    ("x-appengine-user-ip", Address, "Google App Engine"),
    ("x-arr-*", Tls, "IIS Application Request Routing: X-ARR-SSL, X-ARR-ClientCert"),
    ("x-auth-groups", Identity, "Keycloak Gatekeeper"),
    ("x-auth-name", Identity, "Keycloak Gatekeeper"),
    ("x-auth-request-*", Identity, "oauth2-proxy"),
    ("x-auth-roles", Identity, "Keycloak Gatekeeper"),
    ("x-auth-subject", Identity, "Keycloak Gatekeeper"),
    ("x-auth-userid", Identity, "Keycloak Gatekeeper"),
    ("x-auth-username", Identity, "Keycloak Gatekeeper"),
    ("x-authenticated-*", Identity, "Blue Coat, Kong; Etherpad's ep_headerauth"),
    ("x-authentik-*", Identity, "authentik"),
    ("x-azure-clientip", Address, "Azure Front Door"),
    ("x-azure-socketip", Address, "Azure Front Door"),
    ("x-client-cert*", Tls, "Google load balancers and others"),
    ("x-client-dn", Tls, "Puppet Server"),
    ("x-client-ip", Address, "request-ip and its like, asked first"),
    ("x-client-verify", Tls, "Puppet Server"),
    ("x-cluster-client-ip", Address, "Rackspace, Riverbed, Zeus"),
    ("x-consumer-*", Identity, "Kong"),
    ("x-coming-from", Address, "old proxies; PHP applications"),
    ("x-credential-identifier", Identity, "Kong"),
    ("x-credential-username", Identity, "Kong"),
    ("x-endpoint-api-userinfo", Identity, "Google Cloud Endpoints"),
    ("x-envoy-*", Server, "Envoy, which takes them from outsiders itself: X-Envoy-Original-Path"),
    ("x-envoy-external-address", Address, "Envoy"),
    ("x-forwarded", Address, "old proxies; PHP applications"),
    ("x-forwarded-*", Target, "the usual proxies: host, port, prefix, URI, method"),
    ("x-forwarded-access-token", Identity, "oauth2-proxy"),
    ("x-forwarded-client-cert", Tls, "Envoy"),
    ("x-forwarded-email", Identity, "oauth2-proxy; SonarQube"),
    ("x-forwarded-for", Address, "Squid, and the usual proxies since; Doorward"),
    ("x-forwarded-groups", Identity, "oauth2-proxy; Jenkins, SonarQube"),
    ("x-forwarded-login", Identity, "SonarQube"),
    ("x-forwarded-name", Identity, "SonarQube"),
    ("x-forwarded-preferred-username", Identity, "oauth2-proxy"),
    ("x-forwarded-proto", Tls, "the usual proxies; Doorward"),
    ("x-forwarded-protocol", Tls, "gunicorn's secure_scheme_headers"),
    ("x-forwarded-roles", Identity, "Rundeck"),
    ("x-forwarded-scheme", Tls, "Rack"),
    ("x-forwarded-ssl", Tls, "Rack, gunicorn"),
    ("x-forwarded-tls-*", Tls, "Traefik: X-Forwarded-Tls-Client-Cert"),
    ("x-forwarded-user", Identity, "oauth2-proxy, traefik-forward-auth; Jenkins"),
    ("x-forwarded-uuid", Identity, "Rundeck"),
    ("x-goog-authenticated-user-*", Identity, "Google Identity-Aware Proxy"),
    ("x-goog-iap-jwt-assertion", Identity, "Google Identity-Aware Proxy"),
    ("x-host", Target, "frameworks that were poisoned by it"),
    ("x-host-override", Target, "frameworks that were poisoned by it"),
    ("x-http-client-ip", Address, "PHP applications"),
    ("x-http-host-override", Target, "frameworks that were poisoned by it"),
    ("x-https", Tls, "old proxies"),
    ("x-id-token", Identity, "APISIX and Kong with OpenID Connect"),
    ("x-iisnode-*", Identity, "iisnode: X-iisnode-AUTH_USER"),
    ("x-ingress-path", Target, "Home Assistant"),
    ("x-invoke-*", Server, "Next.js"),
    ("x-jwt-assertion", Identity, "WSO2; Grafana's example of JWT authentication"),
    ("x-jwt-claim-*", Identity, "Istio's example of claims in headers"),
    ("x-jwt-payload", Identity, "Istio and others"),
    ("x-matched-path", Target, "Next.js"),
    ("x-middleware-*", Server, "Next.js: X-Middleware-Subrequest (CVE-2025-29927)"),
    ("x-ms-adfs-proxy-client-ip", Address, "AD FS"),
    ("x-ms-client-principal*", Identity, "Azure App Service, Static Web Apps"),
    ("x-ms-forwarded-client-ip", Address, "AD FS"),
    ("x-ms-proxy", Server, "AD FS"),
    ("x-ms-token-*", Identity, "Azure App Service"),
    ("x-nf-client-connection-ip", Address, "Netlify"),
    ("x-original-for", Address, "ASP.NET Core"),
    ("x-original-forwarded-for", Address, "ingress-nginx"),
    ("x-original-host", Target, "ASP.NET Core, Azure Application Gateway"),
    ("x-original-method", Target, "Authelia, ingress-nginx"),
    ("x-original-proto", Tls, "ASP.NET Core"),
    ("x-original-remote-addr", Address, "proxies of PHP applications"),
    ("x-original-uri", Target, "nginx's auth_request (authentik, GHSA-5wcc-hf24-rf5h)"),
    ("x-original-url", Target, "IIS's URL Rewrite; Symfony, Laminas"),
    ("x-originating-ip", Address, "mail gateways, Blue Coat"),
    ("x-pomerium-*", Identity, "Pomerium"),
    ("x-proxied-https", Tls, "Jetty's ForwardedRequestCustomizer"),
    ("x-proxy-ext-*", Identity, "OpenSearch's extended proxy authentication"),
    ("x-proxy-remote-user", Identity, "proxies before Graylog and its like"),
    ("x-proxy-role", Identity, "OpenSearch"),
    ("x-proxy-roles", Identity, "OpenSearch"),
    ("x-proxy-user", Identity, "OpenSearch"),
    ("x-proxyuser-ip", Address, "Google's services"),
    ("x-qrator-ip-source", Address, "Qrator"),
    ("x-real-client-ip", Address, "proxies of PHP applications"),
    ("x-real-ip", Address, "nginx"),
    ("x-remote-*", Identity, "Kubernetes, Home Assistant, SSO modules of apache"),
    ("x-remote-addr", Address, "old proxies"),
    ("x-remote-host", Address, "old proxies"),
    ("x-remote-ip", Address, "old proxies"),
    ("x-remote-port", Address, "old proxies"),
    ("x-request-base", Target, "Mojolicious, Catalyst"),
    ("x-request-uri", Target, "old proxies"),
    ("x-rewrite-uri", Target, "proxies that rewrite"),
    ("x-rewrite-url", Target, "ISAPI Rewrite; Symfony, Laminas, Yii"),
    ("x-rstudio-username", Identity, "RStudio Server"),
    ("x-scheme", Tls, "ingress-nginx"),
    ("x-script-name", Target, "WSGI recipes"),
    ("x-sendfile-type", Server, "Rack::Sendfile (CVE-2025-61780)"),
    ("x-spinnaker-accounts", Identity, "Spinnaker's services"),
    ("x-spinnaker-user", Identity, "Spinnaker's services"),
    ("x-ssl", Tls, "old proxies"),
    ("x-ssl-*", Tls, "HAProxy's recipes: X-SSL-Client-Verify, X-SSL-Client-CN"),
    ("x-sucuri-clientip", Address, "Sucuri"),
    ("x-tls-*", Tls, "HAProxy's recipes"),
    ("x-token-subject", Identity, "caddy-security"),
    ("x-token-user-*", Identity, "caddy-security: X-Token-User-Email"),
    ("x-true-client-ip", Address, "proxies of PHP applications"),
    ("x-url-scheme", Tls, "old proxies; Werkzeug, Plack"),
    ("x-user", Identity, "proxies that sign people in"),
    ("x-user-email", Identity, "proxies that sign people in"),
    ("x-user-groups", Identity, "proxies that sign people in"),
    ("x-user-name", Identity, "proxies that sign people in"),
    ("x-user-roles", Identity, "proxies that sign people in"),
    ("x-userinfo", Identity, "APISIX and Kong with OpenID Connect"),
    ("x-username", Identity, "proxies that sign people in"),
    ("x-vercel-*", Address, "Vercel"),
    ("x-vhm-*", Target, "repoze.vhm; Pyramid reads X-Vhm-Root always"),
    ("x-vouch-*", Identity, "Vouch Proxy"),
    ("x-webauth-*", Identity, "Grafana, Gitea, FreshRSS: X-WEBAUTH-USER"),
    ("x-webobjects-*", Identity, "SOGo: X-WebObjects-Remote-User"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By comparing with every name of the table.
    fn claim_in_whole_table(name: &[u8]) -> Option<Claim> {
        if let Some(rest) = rest_behind(name, b"http-") {
            return claim_in_whole_table(rest);
        }
        let is_exact = |known: &&str| is_folded(name, known.as_bytes());
        let is_of = |known: &&str| {
            known.strip_suffix('*').is_some_and(|of| rest_behind(name, of.as_bytes()).is_some())
        };
        let exact = TABLE.iter().find(|(known, ..)| is_exact(known));
        let family = || TABLE.iter().rfind(|(known, ..)| is_of(known));
        exact.or_else(family).map(|(_, claims, _)| *claims)
    }

    /// Names like those of the table, and others.
    fn names() -> impl Strategy<Value = Vec<u8>> {
        let pieces = prop_oneof![
            4 => prop::sample::select(TABLE).prop_map(|(name, ..)| name.replace('*', "").into()),
            1 => prop::sample::select(vec![&b"http-"[..], b"HTTP_", b"x-", b"x", b"-", b"_a"])
                .prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..4),
            1 => Just(vec![b'a'; 300]),
        ];
        let joined = prop::collection::vec(pieces, 0..4).prop_map(|pieces| pieces.concat());
        (joined, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(mut name, at, upper)| {
            if upper {
                name.make_ascii_uppercase();
            }
            let end = name.len().min(1 + at.index(2 * name.len() + 1));
            name.truncate(end);
            name
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_the_whole_table_has(name in names()) {
            prop_assert_eq!(claim(&name), claim_in_whole_table(&name));
        }
    }

    #[test]
    fn the_table_is_sorted_and_every_name_is_found_in_it() {
        let sorts = |name: &str| {
            let rest = name.strip_prefix("x-");
            let begin = |name: &str| name.chars().take(2).collect::<String>();
            (rest.is_some(), begin(rest.unwrap_or(name)))
        };
        let mut keys: Vec<_> = TABLE.iter().map(|(name, ..)| sorts(name)).collect();
        let before = keys.clone();
        keys.sort();
        assert_eq!(before, keys);
        for (name, claims, because) in TABLE {
            let sent = name.replace('*', "anything");
            assert_eq!(claim(sent.as_bytes()), Some(*claims), "{name}");
            assert_eq!(claim(sent.to_uppercase().replace('-', "_").as_bytes()), Some(*claims));
            assert!(name.bytes().all(|byte| fold(byte) == byte || byte == b'*'), "{name}");
            assert!(!because.is_empty());
        }
    }

    #[test]
    fn a_name_is_the_same_in_every_spelling_that_cgi_folds() {
        for name in ["True-Client-IP", "TRUE_CLIENT_IP", "true.client~ip", "HTTP_TRUE_CLIENT_IP"] {
            assert_eq!(claim(name.as_bytes()), Some(Address), "{name}");
        }
        assert_eq!(claim(b"$WSRU"), Some(Identity));
    }

    #[test]
    fn what_browsers_and_programs_send_for_themselves_claims_nothing() {
        for name in [
            "",
            "x",
            "x-",
            "http-",
            "Host",
            "Accept",
            "Accept-Language",
            "Authorization",
            "Cookie",
            "Cache-Control",
            "Connection",
            "Content-Type",
            "Content-Length",
            "DNT",
            "Depth",
            "Destination",
            "Expect",
            "From",
            "If-None-Match",
            "Origin",
            "Overwrite",
            "Pragma",
            "Priority",
            "Range",
            "Referer",
            "Sec-Fetch-Mode",
            "Sec-CH-UA",
            "Sec-WebSocket-Key",
            "TE",
            "Timeout",
            "Translate",
            "Upgrade",
            "User-Agent",
            "Via",
            "traceparent",
            "Git-Protocol",
            "HTTP2-Settings",
            "X-Requested-With",
            "X-CSRF-Token",
            "X-XSRF-TOKEN",
            "X-Client-Data",
            "X-Request-ID",
            "X-Auth-Token",
            "X-Auth-Key",
            "X-Auth-User",
            "X-User-Id",
            "X-User-Token",
            "X-Token",
            "X-JWT",
            "X-Spinnaker-Priority",
            "Persistent",
            "X-User-Agent",
            "X-Api-Key",
            "X-Amz-Date",
            "X-Goog-Api-Key",
            "X-Ms-Version",
            "X-Ms-Client-Request-Id",
            "X-Atlassian-Token",
            "X-GitHub-Event",
            "X-Hub-Signature-256",
            "X-OC-MTime",
            "X-WP-Nonce",
            "X-HTTP-Method-Override",
            "X-Original-Filename",
            "X-Inertia",
            "X-Plex-Token",
            "X-Grafana-Org-Id",
            "X-Socket-Id",
            "X-Vault-Token",
            "X-Remote",
            "Remotely",
            "X-Real-IPs",
            "Proxy-Hint",
            "Forwarded-By",
            "Next-Action",
            "HX-Request",
        ] {
            assert_eq!(claim(name.as_bytes()), None, "{name}");
        }
    }
}
