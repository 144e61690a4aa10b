use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};
use wissel_identifiers::Oin;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::IdentityError;

/// An authority for development, in a directory: `ca.pem`, `ca.key` and `crl.pem`. Never
/// trust it with anything real: its key lies in a file.
pub struct DevAuthority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// From when until when a certificate is valid, counted from now.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// Begins so long before now.
    pub since: std::time::Duration,
    /// Ends so long after its beginning.
    pub lasts: std::time::Duration,
}

impl Default for Validity {
    /// From five minutes ago on, for a year.
    fn default() -> Self {
        Self {
            since: std::time::Duration::from_secs(5 * 60),
            lasts: std::time::Duration::from_secs(365 * 24 * 60 * 60),
        }
    }
}

/// Serial numbers, and since when they are revoked.
type Revoked = Vec<(Vec<u8>, OffsetDateTime)>;

const MARK: &str = "Wissel DEVELOPMENT ONLY";
/// How long a revocation list holds.
const LIST_HOLDS: Duration = Duration::days(3_650);

impl DevAuthority {
    /// Makes an authority in a directory, which is made when it is not there.
    ///
    /// # Errors
    /// When there is one already, or a file cannot be written.
    pub fn create(directory: &Path) -> Result<Self, IdentityError> {
        fs::create_dir_all(directory).map_err(IdentityError::of(directory))?;
        let key = KeyPair::generate().map_err(IdentityError::make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, MARK);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(
            &mut params,
            Validity {
                lasts: std::time::Duration::from_secs(3_650 * 24 * 60 * 60),
                ..Validity::default()
            },
        );
        let certificate = params.self_signed(&key).map_err(IdentityError::make)?;
        write_new(&directory.join("ca.key"), &key.serialize_pem(), 0o600)?;
        write_new(&directory.join("ca.pem"), &certificate.pem(), 0o644)?;
        let authority = Self { directory: directory.to_owned(), issuer: Issuer::new(params, key) };
        authority.write_revocations(Vec::new(), 1)?;
        Ok(authority)
    }

    /// Opens the authority in a directory.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(directory: &Path) -> Result<Self, IdentityError> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(IdentityError::of(&path))
        };
        let key = KeyPair::from_pem(&read("ca.key")?).map_err(IdentityError::make)?;
        let issuer =
            Issuer::from_ca_cert_pem(&read("ca.pem")?, key).map_err(IdentityError::make)?;
        Ok(Self { directory: directory.to_owned(), issuer })
    }

    /// Makes a certificate of a party, and its key: `<name>.pem` and `<name>.key`. Its OIN
    /// is in Subject.serialNumber.
    ///
    /// # Errors
    /// When there is one of that name, or a file cannot be written.
    pub fn issue_party(
        &self,
        oin: &Oin,
        name: &str,
        validity: Validity,
    ) -> Result<PathBuf, IdentityError> {
        self.issue_client(&[oin.as_str()], name, validity)
    }

    /// As [`DevAuthority::issue_party`], with any serial numbers in the subject, also such
    /// as are no OIN: for tests of what refuses them.
    ///
    /// # Errors
    /// As [`DevAuthority::issue_party`].
    pub fn issue_client(
        &self,
        serial_numbers: &[&str],
        name: &str,
        validity: Validity,
    ) -> Result<PathBuf, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, MARK);
        params.distinguished_name.push(DnType::CommonName, name);
        for (index, text) in serial_numbers.iter().enumerate() {
            // One of a kind is kept; a second goes by the same number in another form.
            let oid = if index == 0 { vec![2, 5, 4, 5] } else { vec![2, 5, 4, 5, 0] };
            params
                .distinguished_name
                .push(DnType::CustomDnType(oid), DnValue::Utf8String((*text).to_owned()));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        set_validity(&mut params, validity);
        self.issue(params, name)
    }

    /// Makes a certificate of a gateway at these hosts (names or addresses).
    ///
    /// # Errors
    /// As [`DevAuthority::issue_party`].
    pub fn issue_server(
        &self,
        hosts: &[String],
        name: &str,
        validity: Validity,
    ) -> Result<PathBuf, IdentityError> {
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(IdentityError::make)?;
        params.distinguished_name.push(DnType::OrganizationName, MARK);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, validity);
        self.issue(params, name)
    }

    /// Revokes a certificate: puts it on the list `crl.pem`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn revoke(&self, certificate: &Path) -> Result<(), IdentityError> {
        let pem = fs::read(certificate).map_err(IdentityError::of(certificate))?;
        let wrong = || IdentityError::content(certificate, "expected a certificate in PEM");
        let der = CertificateDer::from_pem_slice(&pem).map_err(|_| wrong())?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| wrong())?;
        let (mut revoked, number) = self.revocations()?;
        revoked.push((parsed.raw_serial().to_vec(), OffsetDateTime::now_utc()));
        self.write_revocations(revoked, number + 1)
    }

    fn issue(&self, mut params: CertificateParams, name: &str) -> Result<PathBuf, IdentityError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_plain) || name.starts_with('.') {
            let message = "a name of letters, digits, '-', '_' and '.' was expected";
            return Err(IdentityError::make(message));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(IdentityError::make)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(IdentityError::make)?;
        write_new(&self.directory.join(format!("{name}.key")), &key.serialize_pem(), 0o600)?;
        let path = self.directory.join(format!("{name}.pem"));
        write_new(&path, &certificate.pem(), 0o644)?;
        Ok(path)
    }

    /// What is on the list, and its number.
    fn revocations(&self) -> Result<(Revoked, u64), IdentityError> {
        let path = self.directory.join("crl.pem");
        let pem = fs::read(&path).map_err(IdentityError::of(&path))?;
        let wrong = || IdentityError::content(&path, "expected a revocation list in PEM");
        let der = rustls::pki_types::CertificateRevocationListDer::from_pem_slice(&pem)
            .map_err(|_| wrong())?;
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| wrong())?;
        let revoked = list.iter_revoked_certificates();
        let revoked = revoked
            .map(|one| (one.raw_serial().to_vec(), one.revocation_date.to_datetime()))
            .collect();
        let number = list.crl_number().and_then(|number| u64::try_from(number.clone()).ok());
        Ok((revoked, number.unwrap_or_default()))
    }

    fn write_revocations(&self, revoked: Revoked, number: u64) -> Result<(), IdentityError> {
        let revoked_certs = revoked.into_iter().map(|(serial, moment)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: moment,
            reason_code: None,
            invalidity_date: None,
        });
        let now = OffsetDateTime::now_utc();
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: now + LIST_HOLDS,
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(IdentityError::make)?;
        let pem = list.pem().map_err(IdentityError::make)?;
        // Whoever reads it meanwhile finds the old one or the new one.
        let (path, new) = (self.directory.join("crl.pem"), self.directory.join("crl.pem.new"));
        fs::write(&new, pem).map_err(IdentityError::of(&new))?;
        fs::rename(&new, &path).map_err(IdentityError::of(&path))
    }
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let since = Duration::try_from(validity.since).unwrap_or(Duration::ZERO);
    let lasts = Duration::try_from(validity.lasts).unwrap_or(Duration::MAX);
    params.not_before = OffsetDateTime::now_utc() - since;
    params.not_after = params.not_before + lasts;
}

/// Writes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(IdentityError::content(path, "is there already; expected no such file"))
        }
        other => other.map_err(IdentityError::of(path)),
    }
}
