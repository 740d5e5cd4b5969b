//! An authority of a test's own, and certificates of servers that it signs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One under a name. Two of one name are two all the same.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    /// Its own certificate, for those who are to trust it.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The certificate of a host, and its key.
    pub(crate) fn certificate_of(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a name or an address");
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }
}
