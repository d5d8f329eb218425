//! Whether CA certificates can attest security keys: what the library would refuse at each set-up is
//! refused when they are read (RFC 5280 §4.1.2.5, §4.2.1.3, §4.2.1.9).

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain::time::Timestamp;

/// Warn this many days before one expires.
const SOON: i64 = 30;

/// Checks the certificates of a file.
///
/// # Errors
/// What is wrong with one of them.
pub(super) fn check(roots: &[CertificateDer<'_>], now: Timestamp) -> Result<(), String> {
    let mut subjects = Vec::new();
    for root in roots {
        let Ok((_, read)) = X509Certificate::from_der(root) else {
            return Err("the file holds something that is not a certificate".to_owned());
        };
        let subject = read.subject();
        let is_ca = read.basic_constraints().ok().flatten().is_some_and(|found| found.value.ca);
        if !is_ca {
            return Err(format!("the certificate of `{subject}` is not one of a CA"));
        }
        let usage = read.key_usage();
        if !usage.is_ok_and(|usage| usage.is_some_and(|usage| usage.value.key_cert_sign())) {
            return Err(format!(
                "the certificate of `{subject}` may not sign others: its key usage lacks keyCertSign"
            ));
        }
        let (from, to) =
            (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
        if !(from..=to).contains(&seconds(now)) {
            return Err(format!("the certificate of `{subject}` has expired, or is not valid yet"));
        }
        if subjects.contains(&subject.as_raw().to_vec()) {
            return Err(format!("the file holds two certificates of `{subject}`"));
        }
        subjects.push(subject.as_raw().to_vec());
    }
    Ok(())
}

/// Says so if this certificate expires soon.
pub(super) fn expires_soon(root: &CertificateDer<'_>, now: Timestamp) -> Option<String> {
    let (_, read) = X509Certificate::from_der(root).ok()?;
    let left = read.validity().not_after.timestamp() - seconds(now);
    let days = left.div_euclid(24 * 60 * 60);
    (days < SOON).then(|| format!("the certificate of `{}` expires in {days} days", read.subject()))
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.seconds()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
    };

    use super::*;

    /// 2030-06-01.
    const NOW: Timestamp = Timestamp::from_secs(1_906_502_400);

    fn root(name: &str, with: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        with(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn says(roots: &[CertificateDer<'_>]) -> String {
        check(roots, NOW).unwrap_err()
    }

    #[test]
    fn a_certificate_with_which_no_key_could_be_verified_is_refused() {
        let sound = root("A", |_| {});
        assert_eq!(check(&[sound.clone(), root("B", |_| {})], NOW), Ok(()));
        let no_ca = root("B", |params| params.is_ca = IsCa::ExplicitNoCa);
        assert!(says(&[sound.clone(), no_ca]).contains("is not one of a CA"));
        for usages in [vec![KeyUsagePurpose::CrlSign], Vec::new()] {
            let none = root("B", |params| params.key_usages = usages);
            assert!(says(&[none]).contains("may not sign others"));
        }
        let over = root("B", |params| params.not_after = date_time_ymd(2030, 5, 1));
        assert!(says(&[over]).contains("has expired"));
        let early = root("B", |params| params.not_before = date_time_ymd(2030, 7, 1));
        assert!(says(&[early]).contains("not valid yet"));
        assert!(says(&[sound, root("A", |_| {})]).contains("two certificates"));
    }

    #[test]
    fn a_certificate_that_expires_within_thirty_days_is_warned_of() {
        let until =
            |month, day| root("A", |params| params.not_after = date_time_ymd(2030, month, day));
        let says = expires_soon(&until(6, 11), NOW).unwrap();
        assert!(says.ends_with("expires in 10 days"), "{says}");
        assert_eq!(expires_soon(&until(7, 2), NOW), None);
    }
}
