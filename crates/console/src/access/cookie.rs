//! The cookies of the console.

use axum::http::{HeaderMap, HeaderValue, header};

/// A cookie of the console, which scripts cannot read and other sites cannot have sent by a
/// form.
#[derive(Clone, Copy)]
pub(crate) struct Cookie {
    name: &'static str,
    /// For encrypted connections only, and for this host only (`__Host-`).
    secure: bool,
}

impl Cookie {
    /// The session.
    pub(crate) fn session(secure: bool) -> Self {
        Self { name: "wissel-session", secure }
    }

    /// A sign-in that is under way at a provider.
    pub(crate) fn signing_in(secure: bool) -> Self {
        Self { name: "wissel-signing-in", secure }
    }

    fn prefix(self) -> &'static str {
        if self.secure { "__Host-" } else { "" }
    }

    /// Its value in a request. None when there are several: who put the others there?
    pub(crate) fn read(self, headers: &HeaderMap) -> Option<&str> {
        let sent = headers.get_all(header::COOKIE).into_iter();
        let pairs = sent.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
        let mut values = pairs.filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name.strip_prefix(self.prefix())? == self.name).then_some(value)
        });
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// What sets it until the browser is closed.
    pub(crate) fn set(self, value: &str) -> HeaderValue {
        self.header(value, "")
    }

    /// What takes it away.
    pub(crate) fn removal(self) -> HeaderValue {
        self.header("", "; Max-Age=0")
    }

    fn header(self, value: &str, more: &str) -> HeaderValue {
        let (prefix, name) = (self.prefix(), self.name);
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
        HeaderValue::from_str(&text).expect("our values are letters, digits, - and _")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        let read = |secure: bool, sent: &'static str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(sent))]);
            Cookie::session(secure).read(&headers).map(str::to_owned)
        };
        let one = Some("x".to_owned());
        assert_eq!(read(true, "a=b; __Host-wissel-session=x"), one);
        assert_eq!(read(true, "wissel-session=x"), None);
        assert_eq!(read(true, "__Host-wissel-session=x; __Host-wissel-session=y"), None);
        assert_eq!(read(false, "wissel-session=x;wissel-signing-in=y"), one);
        assert_eq!(read(false, "xwissel-session=x"), None);
    }

    #[test]
    fn a_cookie_is_for_this_host_alone() {
        let secure = "__Host-wissel-session=x; Path=/; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(Cookie::session(true).set("x"), secure);
        let removal = "wissel-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";
        assert_eq!(Cookie::session(false).removal(), removal);
    }
}
