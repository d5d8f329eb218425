//! The least that a proxy on Pingora is: one upstream, default options, no filter.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::Result;
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

struct Bare(SocketAddr);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

/// Serves for ever: `THREADS PLAIN TLS UPSTREAM CERTIFICATE KEY`.
pub(crate) fn serve(words: &[String]) {
    let [threads, plain, tls, upstream, certificate, key] = words else {
        panic!("six words are needed, not {words:?}");
    };
    // Pingora's default is one thread; it gets as many as everybody else.
    let conf = ServerConf { threads: threads.parse().unwrap(), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare(upstream.parse().unwrap()));
    service.add_tcp(plain);
    let mut settings = TlsSettings::intermediate(certificate, key).unwrap();
    settings.enable_h2();
    service.add_tls_with_settings(tls, None, settings);
    server.add_service(service);
    server.run_forever();
}
