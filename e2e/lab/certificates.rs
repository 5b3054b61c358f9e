//! The cluster's authority, and the papers of everybody who talks to its API server.

use super::error::{Doing, Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Who somebody is to the API server: Kubernetes reads the common name as the user, the organisation as the group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// The base name of the files, and of nothing else.
    pub file: &'a str,
    /// The user.
    pub user: &'a str,
    /// The user's group, if any.
    pub group: Option<&'a str>,
    /// The addresses and names under which it serves.
    pub serves: &'a [String],
}

/// A certificate authority and the directory of its papers.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, with the key that signs the tokens of service accounts.
    ///
    /// # Errors
    /// When a certificate cannot be made or written.
    pub fn create(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).doing(|| format!("make {}", dir.display()))?;
        let name = "virtualip-lab";
        let mut params = params(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = key(name)?;
        let certificate = params.self_signed(&key).map_err(|source| failed(name, source))?;
        write(&dir.join("ca.crt"), &certificate.pem())?;
        let tokens = self::key("service accounts")?;
        write(&dir.join("sa.key"), &tokens.serialize_pem())?;
        write(&dir.join("sa.pub"), &tokens.public_key_pem())?;
        Ok(Self { dir, issuer: Issuer::new(params, key) })
    }

    /// One of the papers: `ca.crt`, `sa.key`, `<file>.crt`, `<file>.key`, `<file>.kubeconfig`.
    pub fn paper(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    /// Writes `<file>.crt` and `<file>.key`.
    ///
    /// # Errors
    /// When the certificate cannot be made or written.
    pub fn issue(&self, identity: Identity<'_>) -> Result<()> {
        let Identity { file, user, group, serves } = identity;
        let mut params = params(user, serves)?;
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = key(user)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|source| failed(user, source))?;
        write(&self.dir.join(format!("{file}.crt")), &certificate.pem())?;
        write(&self.dir.join(format!("{file}.key")), &key.serialize_pem())
    }

    /// Issues a certificate and writes `<file>.kubeconfig` around it.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn enrol(&self, identity: Identity<'_>, server: &str) -> Result<()> {
        self.issue(identity)?;
        let file = identity.file;
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": self.paper("ca.crt")}}],
            "users": [{"name": file, "user": {
                "client-certificate": self.paper(&format!("{file}.crt")),
                "client-key": self.paper(&format!("{file}.key")),
            }}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": file}}],
            "current-context": "lab",
        });
        write(&self.dir.join(format!("{file}.kubeconfig")), &config.to_string())
    }
}

fn params(name: &str, serves: &[String]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(serves.to_vec()).map_err(|source| failed(name, source))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn key(name: &str) -> Result<KeyPair> {
    KeyPair::generate().map_err(|source| failed(name, source))
}

fn failed(name: &str, source: rcgen::Error) -> Error {
    Error::Certificate { name: name.to_owned(), source }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing(|| format!("write {}", path.display()))
}
