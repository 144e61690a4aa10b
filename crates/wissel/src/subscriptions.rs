//! `wissel subscriptions`.

use std::collections::BTreeMap;

use serde_json::json;
use wissel_client::{Filter, Subscription};

use crate::cli::{CreateArguments, SubscriptionsCommand};
use crate::exit::Failure;
use crate::{client, output};

pub(crate) async fn run(command: SubscriptionsCommand) -> Result<(), Failure> {
    match command {
        SubscriptionsCommand::Create(arguments) => create(arguments).await,
        SubscriptionsCommand::List(arguments) => {
            let all = client::connect(&arguments.connection)?.list_subscriptions().all().await?;
            print(&all, arguments.json)
        }
        SubscriptionsCommand::Get(arguments) => {
            let client = client::connect(&arguments.connection)?;
            let one = client.get_subscription(&arguments.name).await?;
            print(&[one], arguments.json)
        }
        SubscriptionsCommand::Delete(arguments) => {
            let client = client::connect(&arguments.connection)?;
            client.delete_subscription(&arguments.name).await?;
            if arguments.json {
                output::json(&json!({ "deleted": arguments.name }))
            } else {
                output::note(&format!("{} deleted; its inbox stays", arguments.name));
                Ok(())
            }
        }
    }
}

async fn create(arguments: CreateArguments) -> Result<(), Failure> {
    let client = client::connect(&arguments.connection)?;
    let mut subscription = Subscription::new(arguments.name);
    subscription.inbox = arguments.inbox;
    subscription.types = arguments.types;
    let mut add = |values: Vec<(String, String)>, filter: fn(BTreeMap<_, _>) -> Filter| {
        if !values.is_empty() {
            subscription.filters.push(filter(values.into_iter().collect()));
        }
    };
    add(arguments.exact, Filter::Exact);
    add(arguments.prefix, Filter::Prefix);
    let created = client.create_subscription(&subscription).await?;
    print(&[created], arguments.json)
}

fn print(subscriptions: &[Subscription], as_json: bool) -> Result<(), Failure> {
    for subscription in subscriptions.iter().filter(|_| as_json) {
        let filters: Vec<_> = subscription.filters.iter().map(filter_json).collect();
        output::json(&json!({
            "name": subscription.name,
            "inbox": subscription.inbox,
            "types": subscription.types,
            "filters": filters,
            "created_at": subscription.created_at.map(output::moment),
        }))?;
    }
    if !as_json {
        let rows = subscriptions.iter().map(|subscription| {
            let all = |texts: &[String], none: &str| {
                if texts.is_empty() { none.to_owned() } else { texts.join(", ") }
            };
            let filters: Vec<String> = subscription.filters.iter().map(filter_text).collect();
            vec![
                subscription.name.to_string(),
                subscription.inbox.as_ref().map(ToString::to_string).unwrap_or_default(),
                all(&subscription.types, "every type granted"),
                all(&filters, "none"),
            ]
        });
        output::table(&["NAME", "INBOX", "TYPES", "FILTERS"], rows.collect());
    }
    Ok(())
}

fn filter_json(filter: &Filter) -> serde_json::Value {
    match filter {
        Filter::Exact(values) => json!({ "exact": values }),
        Filter::Prefix(values) => json!({ "prefix": values }),
        _ => json!({}),
    }
}

fn filter_text(filter: &Filter) -> String {
    let (sign, values) = match filter {
        Filter::Exact(values) => ("=", values),
        Filter::Prefix(values) => ("=^", values),
        _ => return "?".to_owned(),
    };
    let values: Vec<String> =
        values.iter().map(|(name, value)| format!("{name}{sign}{value}")).collect();
    values.join(" and ")
}
