//! Settings of parts, by the checks that these make when a gateway starts.

use wissel_identity::TokenVerifier;

use super::finding::Findings;
use super::mend;
use crate::cli::ServeArguments;
use crate::config::Config;
use crate::exit::Failure;

/// Whether console, services and traces can be started as they are set.
pub(super) fn settings(config: &Config, arguments: &ServeArguments, found: &mut Findings) {
    let mut wrong = |fault: &dyn std::fmt::Display| {
        let fault = fault.to_string();
        found.error(
            config.origins.told(&fault),
            "a gateway does not start with it; mend it",
            mend::change(&config.origins, &fault),
        );
    };
    if let Some(listen) = config.console.listen {
        let believes_all = arguments.insecure_dev;
        let access = config.console.access_without_tls(believes_all);
        let checked = access
            .map_err(|failure| failure.to_string())
            .and_then(|access| access.check(listen).map_err(|error| error.to_string()));
        if let Err(fault) = checked {
            wrong(&fault);
        }
    }
    for service in config.exchange.services() {
        if let Err(error) = service.check() {
            wrong(&format!("[[exchange.http]] {error}"));
        }
    }
    if let Some(Err(error)) = config.tracing.options().map(|options| options.check()) {
        wrong(&format!("tracing.{error}"));
    }
}

/// Whether the keys of the issuer of tokens can be had.
pub(super) async fn tokens(config: &Config) -> Findings {
    let mut found = Findings::of("tokens");
    let Some(tokens) = &config.tokens else { return found };
    let verifier = async {
        let verifier = TokenVerifier::start(tokens.options()?).await;
        verifier.map_err(|error| Failure::unavailable(format!("[tokens] {error}")))
    };
    match verifier.await {
        Ok(_) => found.ok("[tokens]: the issuer's keys can be had"),
        Err(failure) => found.error(
            config.origins.told(failure.message()),
            "put the issuer's keys where jwks_file or jwks_url says; a gateway does not start \
             without them",
            mend::show(config.origins.file()),
        ),
    }
    found
}
