//! What a builder is given to secure a connection with: whether it can be used, told before
//! anything is sent.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::ClientError;

/// Whether there are authorities in it.
pub(crate) fn check_authorities(pem: &[u8]) -> Result<(), ClientError> {
    read("authorities", pem).map(drop)
}

/// Whether there are a certificate and a key in them, and belong together.
pub(crate) fn check_identity(certificate: &[u8], key: &[u8]) -> Result<(), ClientError> {
    let chain = read("certificate", certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| ClientError::invalid("key", "no private key in it; expected one in PEM"))?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| ClientError::invalid("key", error.to_string()))?;
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(Error::InconsistentKeys(_)) => {
            let message = "do not belong together; expected the key of this certificate";
            Err(ClientError::invalid("certificate and key", message))
        }
        Err(error) => Err(ClientError::invalid("certificate", error.to_string())),
    }
}

fn read(argument: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    all.ok()
        .filter(|all| !all.is_empty())
        .ok_or_else(|| ClientError::invalid(argument, "no certificate in it; expected PEM"))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn made() -> (String, String) {
        let made = generate_simple_self_signed(["localhost".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn it_is_told_which_of_the_two_is_wrong() {
        let ((certificate, key), (_, other)) = (made(), made());
        let told = |certificate: &str, key: &str| {
            let checked = check_identity(certificate.as_bytes(), key.as_bytes());
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(told(&certificate, &key), Ok(()));
        for ((certificate, key), expected) in [
            ((&*certificate, &*other), "certificate and key: do not belong together; "),
            ((&key, &key), "certificate: no certificate in it; "),
            (("", &key), "certificate: no certificate in it; "),
            ((&certificate, "x"), "key: no private key in it; "),
            ((&certificate, &certificate), "key: no private key in it; "),
        ] {
            let error = told(certificate, key).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn authorities_are_certificates() {
        let (certificate, key) = made();
        assert!(check_authorities((certificate.clone() + &certificate).as_bytes()).is_ok());
        for none in ["", "x", &key] {
            let error = check_authorities(none.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, "authorities: no certificate in it; expected PEM");
        }
    }
}
