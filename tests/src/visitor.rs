//! Somebody with a browser, as far as HTTP goes: cookies are kept, forms are sent as their
//! pages have them.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder};

/// The visitor.
pub struct Visitor {
    client: Client,
    origin: String,
    /// Cookies, by name.
    pub cookies: BTreeMap<String, String>,
}

/// A page, as it came.
#[derive(Debug)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where it sends to; empty when nowhere.
    pub to: String,
    /// What came with it.
    pub headers: HeaderMap,
    /// Its text, without what is only for narrow screens.
    pub text: String,
}

impl Visitor {
    /// One who visits this origin.
    pub fn of(origin: &str) -> Self {
        Self::with(origin, Client::builder())
    }

    /// One with a browser that is set so.
    pub fn with(origin: &str, browser: ClientBuilder) -> Self {
        let client = browser.redirect(Policy::none()).build().unwrap();
        Self { client, origin: origin.to_owned(), cookies: BTreeMap::new() }
    }

    /// Gets a page.
    pub async fn get(&mut self, path: &str) -> Page {
        let url = if path.starts_with("http") { path.to_owned() } else { self.url(path) };
        self.send(self.client.get(url)).await
    }

    /// Sends a form.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = self.origin.clone();
        self.post_from(path, fields, &origin).await
    }

    /// Sends a form from a page of this origin.
    pub async fn post_from(&mut self, path: &str, fields: &[(&str, &str)], origin: &str) -> Page {
        let body = serde_urlencoded::to_string(fields).unwrap();
        let request = self.client.post(self.url(path)).header("origin", origin).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Gets a page of a host of another name.
    pub async fn get_as(&mut self, path: &str, host: &str) -> Page {
        self.send(self.client.get(self.url(path)).header("host", host)).await
    }

    /// Goes from page to page until it ends, at most ten.
    pub async fn follow(&mut self, path: &str) -> Page {
        let mut page = self.get(path).await;
        for _ in 0..10 {
            if page.to.is_empty() {
                break;
            }
            page = self.get(&page.to.clone()).await;
        }
        page
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    async fn send(&mut self, request: RequestBuilder) -> Page {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        let headers = response.headers().clone();
        for set in headers.get_all(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let to = headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let text = as_on_a_wide_screen(&response.text().await.unwrap());
        Page { status, to: to.unwrap_or_default(), headers, text }
    }
}

/// Without the places where names may be parted, the names that cells have in themselves, and
/// the roles of what is part of a table when it does not look like one.
fn as_on_a_wide_screen(page: &str) -> String {
    const LABEL: &str = " data-label=\"";
    const ROLES: [&str; 6] = ["table", "rowgroup", "row", "columnheader", "rowheader", "cell"];
    let mut page = page.replace("<wbr>", "");
    for role in ROLES {
        page = page.replace(&format!(" role=\"{role}\""), "");
    }
    let mut parts = page.split(LABEL);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once('"').map_or(part, |(_, rest)| rest));
    }
    text
}

impl Page {
    /// The value of the first hidden field of this name.
    pub fn hidden(&self, name: &str) -> &str {
        let start = format!("name=\"{name}\" value=\"");
        let from = self.text.find(&start).unwrap_or_else(|| panic!("no {name} in {}", self.text));
        let value = &self.text[from + start.len()..];
        &value[..value.find('"').unwrap()]
    }
}
