//! `wissel subscriptions`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use wissel_client::{Filter, Subscription};

use crate::cli::{CreateArguments, FollowArguments, SubscriptionArguments, SubscriptionsCommand};
use crate::exit::Failure;
use crate::{client, output, watching};

pub(crate) async fn run(command: SubscriptionsCommand) -> Result<(), Failure> {
    match command {
        SubscriptionsCommand::Create(arguments) => create(arguments).await,
        SubscriptionsCommand::List(look) => {
            let list = || async {
                let all = client::connect(&look.connection)?.list_subscriptions().all().await?;
                print(&all, look.json)
            };
            watching::show(&look, list).await
        }
        SubscriptionsCommand::Show(SubscriptionArguments { name, look }) => {
            let show = || async {
                let one = client::connect(&look.connection)?.get_subscription(&name).await?;
                print(&[one], look.json)
            };
            watching::show(&look, show).await
        }
        SubscriptionsCommand::Follow(arguments) => follow(&arguments).await,
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

/// Changes which subjects a subscription follows, in calls of as many as one takes.
async fn follow(arguments: &FollowArguments) -> Result<(), Failure> {
    const AT_ONCE: usize = 10_000;
    let add = subjects(arguments.add.as_deref()).await?;
    let remove = subjects(arguments.remove.as_deref()).await?;
    if add.is_empty() && remove.is_empty() {
        return Err(Failure::usage("there is no subject to add or remove; expected one a line"));
    }
    let client = client::connect(&arguments.connection)?;
    let progress = indicatif::ProgressBar::new((add.len() + remove.len()) as u64);
    let (mut added, mut removed, mut total) = (0, 0, 0);
    let adding = add.chunks(AT_ONCE).map(|some| (some.to_vec(), Vec::new()));
    let removing = remove.chunks(AT_ONCE).map(|some| (Vec::new(), some.to_vec()));
    for (add, remove) in adding.chain(removing) {
        let count = (add.len() + remove.len()) as u64;
        let followed = client.follow_subjects(&arguments.name, add, remove).await?;
        added += followed.added;
        removed += followed.removed;
        total = followed.total;
        progress.inc(count);
    }
    progress.finish_and_clear();
    if arguments.json {
        return output::json(&json!({ "added": added, "removed": removed, "total": total }));
    }
    output::note(&format!("{added} added, {removed} removed; {} follows {total}", arguments.name));
    Ok(())
}

/// The lines of a file, without blanks around them.
async fn subjects(file: Option<&Path>) -> Result<Vec<String>, Failure> {
    let Some(file) = file else { return Ok(Vec::new()) };
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
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

async fn create(arguments: CreateArguments) -> Result<(), Failure> {
    let client = client::connect(&arguments.connection)?;
    let mut subscription = Subscription::new(arguments.name);
    subscription.inbox = arguments.inbox;
    subscription.types = arguments.types;
    subscription.follows_subjects = arguments.follows_subjects;
    subscription.ordered = arguments.ordered;
    let mut add = |values: Vec<(String, String)>, filter: fn(BTreeMap<_, _>) -> Filter| {
        let mut by_name = BTreeMap::new();
        for (name, value) in values {
            if by_name.insert(name.clone(), value).is_some() {
                let message =
                    format!("{name} is given two values; for either, use --filter or --sql");
                return Err(Failure::usage(message));
            }
        }
        if !by_name.is_empty() {
            subscription.filters.push(filter(by_name));
        }
        Ok(())
    };
    add(arguments.exact, Filter::Exact)?;
    add(arguments.prefix, Filter::Prefix)?;
    add(arguments.suffix, Filter::Suffix)?;
    for text in arguments.sql {
        crate::filter::expression(&text)?;
        subscription.filters.push(Filter::Sql(text));
    }
    for text in &arguments.filters {
        subscription.filters.push(written(text)?);
    }
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
            "follows_subjects": subscription.follows_subjects,
            "ordered": subscription.ordered,
            "created_at": subscription.created_at.map(output::moment),
        }))?;
    }
    if !as_json {
        let rows = subscriptions.iter().map(|subscription| {
            let all = |texts: &[String], none: &str| {
                if texts.is_empty() { none.to_owned() } else { texts.join(", ") }
            };
            let mut filters: Vec<String> = subscription.filters.iter().map(filter_text).collect();
            if subscription.follows_subjects {
                filters.push("subjects that it follows".to_owned());
            }
            vec![
                subscription.name.to_string(),
                subscription.inbox.as_ref().map(ToString::to_string).unwrap_or_default(),
                all(&subscription.types, "every type granted"),
                all(&filters, "none"),
                if subscription.ordered { "by subject" } else { "-" }.to_owned(),
            ]
        });
        output::table(&["NAME", "INBOX", "TYPES", "FILTERS", "ORDER"], rows.collect());
    }
    Ok(())
}

/// A filter in JSON, as the Subscriptions API spells it.
fn written(text: &str) -> Result<Filter, Failure> {
    let filter: wissel_filter::Filter = serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("--filter is no filter: {error}")))?;
    // The check also says that it is not too deep to go through.
    filter.check().map_err(|error| Failure::usage(format!("--filter: {error}")))?;
    of_written(filter)
}

fn of_written(filter: wissel_filter::Filter) -> Result<Filter, Failure> {
    use wissel_filter::Filter as Written;
    let list =
        |filters: Vec<Written>| filters.into_iter().map(of_written).collect::<Result<Vec<_>, _>>();
    Ok(match filter {
        Written::Exact(values) => Filter::Exact(values),
        Written::Prefix(values) => Filter::Prefix(values),
        Written::Suffix(values) => Filter::Suffix(values),
        Written::All(filters) => Filter::All(list(filters)?),
        Written::Any(filters) => Filter::Any(list(filters)?),
        Written::Not(filter) => Filter::Not(of_written(*filter)?.into()),
        Written::Sql(text) => Filter::Sql(text),
        _ => return Err(Failure::usage("--filter has a dialect that cannot be sent")),
    })
}

fn filter_json(filter: &Filter) -> serde_json::Value {
    let list = |filters: &[Filter]| filters.iter().map(filter_json).collect::<Vec<_>>();
    match filter {
        Filter::Exact(values) => json!({ "exact": values }),
        Filter::Prefix(values) => json!({ "prefix": values }),
        Filter::Suffix(values) => json!({ "suffix": values }),
        Filter::All(filters) => json!({ "all": list(filters) }),
        Filter::Any(filters) => json!({ "any": list(filters) }),
        Filter::Not(filter) => json!({ "not": filter_json(filter) }),
        Filter::Sql(text) => json!({ "sql": text }),
        _ => json!({}),
    }
}

fn filter_text(filter: &Filter) -> String {
    let compare = |sign: &str, values: &BTreeMap<String, String>| {
        let values: Vec<String> =
            values.iter().map(|(name, value)| format!("{name}{sign}{value}")).collect();
        values.join(" and ")
    };
    let list = |between: &str, filters: &[Filter]| {
        let filters: Vec<String> = filters.iter().map(filter_text).collect();
        format!("({})", filters.join(between))
    };
    match filter {
        Filter::Exact(values) => compare("=", values),
        Filter::Prefix(values) => compare("=^", values),
        Filter::Suffix(values) => compare("=$", values),
        Filter::All(filters) => list(" and ", filters),
        Filter::Any(filters) => list(" or ", filters),
        Filter::Not(filter) => format!("not ({})", filter_text(filter)),
        Filter::Sql(text) => format!("sql {text}"),
        _ => "?".to_owned(),
    }
}
