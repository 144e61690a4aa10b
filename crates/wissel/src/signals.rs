//! `wissel signals`, and `wissel matching` for the keys of their pseudonyms.

use std::path::Path;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use wissel_client::{NewSignal, Signal};
use wissel_exchange::rotate_key;
use wissel_store::Store;

use crate::cli::{
    FileArguments, LookArguments, MatchingCommand, RotateKeyArguments, SignalsCommand,
    TransferArguments, WithdrawArguments,
};
use crate::config::Config;
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: SignalsCommand) -> Result<(), Failure> {
    match command {
        SignalsCommand::File(arguments) => file(arguments).await,
        SignalsCommand::Withdraw(arguments) => withdraw(arguments).await,
        SignalsCommand::Transfer(arguments) => transfer(arguments).await,
        SignalsCommand::List(look) => watching::show(&look, || list(&look)).await,
    }
}

async fn file(arguments: FileArguments) -> Result<(), Failure> {
    let FileArguments { event_type, subject_file, reference, keep_for, json, connection } =
        arguments;
    let subject = subject(&subject_file).await?;
    let client = client::connect(&connection)?;
    let signal = NewSignal::new(event_type, subject, reference);
    let signal = match keep_for {
        Some(keep_for) => signal.keep_for(keep_for),
        None => signal,
    };
    let filed = client.file_signal(&signal).await?;
    let expires_at = output::moment(filed.expires_at);
    if json {
        let signal_id = filed.signal_id.to_string();
        return output::json(&json!({ "signal_id": signal_id, "expires_at": expires_at }));
    }
    output::line(&filed.signal_id.to_string());
    output::note(&format!("filed; forgotten at {expires_at}"));
    Ok(())
}

/// The one subject in a file, without blanks around it.
async fn subject(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == "-" {
        tokio::io::stdin().read_to_string(&mut text).await
    } else {
        match tokio::fs::File::open(file).await {
            Ok(mut file) => file.read_to_string(&mut text).await,
            Err(error) => Err(error),
        }
    };
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let subject = text.trim_start_matches('\u{feff}').trim();
    if subject.is_empty() || subject.contains(char::is_control) {
        let message = format!("{}: expected one subject, on one line", file.display());
        return Err(Failure::usage(message));
    }
    Ok(subject.to_owned())
}

async fn withdraw(arguments: WithdrawArguments) -> Result<(), Failure> {
    let WithdrawArguments { signal, json, connection } = arguments;
    client::connect(&connection)?.withdraw_signal(signal).await?;
    if json {
        return output::json(&json!({ "withdrawn": signal.to_string() }));
    }
    output::note(&format!("{signal} withdrawn, and forgotten"));
    Ok(())
}

async fn transfer(arguments: TransferArguments) -> Result<(), Failure> {
    let TransferArguments { signal, to, reference, json, connection } = arguments;
    client::connect(&connection)?.transfer_signal(signal, to, reference.as_deref()).await?;
    if json {
        return output::json(&json!({ "transferred": signal.to_string(), "to": to }));
    }
    output::note(&format!("{signal} is that of {to} now"));
    Ok(())
}

async fn list(look: &LookArguments) -> Result<(), Failure> {
    let signals = client::connect(&look.connection)?.list_signals().all().await?;
    if look.json {
        return signals.iter().try_for_each(|one| output::json(&to_json(one)));
    }
    let rows = signals.iter().map(|one| {
        let mut with: Vec<String> = one.matches.iter().map(|one| one.party.to_string()).collect();
        with.sort_unstable();
        with.dedup();
        vec![
            one.signal_id.to_string(),
            one.event_type.clone(),
            one.reference.clone(),
            output::moment(one.expires_at),
            if with.is_empty() { "-".to_owned() } else { with.join(", ") },
        ]
    });
    output::table(&["SIGNAL", "TYPE", "REFERENCE", "FORGOTTEN AT", "MATCHES"], rows.collect());
    Ok(())
}

fn to_json(signal: &Signal) -> serde_json::Value {
    let matches = signal
        .matches
        .iter()
        .map(|one| json!({ "party": one.party, "matched_at": output::moment(one.matched_at) }));
    json!({
        "signal_id": signal.signal_id.to_string(),
        "type": signal.event_type,
        "reference": signal.reference,
        "filed_at": output::moment(signal.filed_at),
        "expires_at": output::moment(signal.expires_at),
        "matches": matches.collect::<Vec<_>>(),
    })
}

/// `wissel matching`.
pub(crate) async fn manage(command: MatchingCommand) -> Result<(), Failure> {
    match command {
        MatchingCommand::RotateKey(arguments) => rotate(arguments).await,
    }
}

async fn rotate(arguments: RotateKeyArguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.serve())?;
    let database = config.data_dir.join("control.sqlite");
    if !database.exists() {
        let message = format!("{}: there is no gateway's state there", database.display());
        return Err(Failure::usage(message));
    }
    let store = Store::open(&database).map_err(Failure::unavailable)?;
    let path = config.exchange.options(&config.data_dir).matching_keys;
    let keys = rotate_key(&store, &path).await.map_err(Failure::refused)?;
    if arguments.json {
        return output::json(&json!({ "keys": keys }));
    }
    output::note(&format!("pseudonyms are made with {keys} keys now"));
    Ok(())
}
