//! What is said about subscriptions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wissel_identifiers::{InboxName, SubscriptionName};

use super::{Connection, LookArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum SubscriptionsCommand {
    /// Create a subscription, and its inbox when it is not there
    #[command(after_help = "Example:\n  wissel subscriptions create --as 00000001002220647000 \
        00000001002220647000.geboorten --type nl.brp.geboorte --exact gemeente=0344")]
    Create(CreateArguments),
    /// List subscriptions
    #[command(after_help = "Example:\n  wissel subscriptions list --as operator")]
    List(LookArguments),
    /// Show one subscription
    #[command(
        after_help = "Example:\n  wissel subscriptions show --as operator 00000001002220647000.inwoners"
    )]
    Show(SubscriptionArguments),
    /// Follow subjects, and others no longer, in a subscription made with --follows-subjects
    #[command(after_help = "Subjects are personal, so they are read and not given as \
        arguments: one a line,\nspelled as in messages. Any text of 1 to 1,024 bytes may be one, so that \
        what is mistyped is\nfollowed too, and meets no message.\n\nExample:\n  wissel subscriptions follow \
        --as 00000001002220647000 00000001002220647000.klanten --add new.txt --remove gone.txt")]
    Follow(FollowArguments),
    /// Delete a subscription; its inbox stays
    #[command(after_help = "To change one and miss nothing, first create another that feeds the \
        same inbox: while there are\nboth, the inbox still gets each message once.\n\n\
        Example:\n  wissel subscriptions delete --as 00000001002220647000 \
        00000001002220647000.geboorten")]
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// OIN.name
    pub(crate) name: SubscriptionName,
    /// The inbox it feeds [default: the name]
    #[arg(long)]
    pub(crate) inbox: Option<InboxName>,
    /// An event type wanted; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// An attribute that must have exactly this value; may be given several times
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = attribute_value)]
    pub(crate) exact: Vec<(String, String)>,
    /// An attribute that must start with this value; may be given several times
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = attribute_value)]
    pub(crate) prefix: Vec<(String, String)>,
    /// An attribute that must end with this value; may be given several times
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = attribute_value)]
    pub(crate) suffix: Vec<(String, String)>,
    /// A CloudEvents SQL expression that must be true; may be given several times
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) sql: Vec<String>,
    /// Only messages whose subject it follows; none at first, see `subscriptions follow`
    #[arg(long)]
    pub(crate) follows_subjects: bool,
    /// Deliveries of one subject come one after the other, in the inbox that it feeds
    #[arg(long)]
    pub(crate) ordered: bool,
    /// A filter in JSON that must match, such as {"any":[…]}; may be given several times
    #[arg(long = "filter", value_name = "JSON")]
    pub(crate) filters: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct FollowArguments {
    /// OIN.name
    pub(crate) name: SubscriptionName,
    /// Subjects to follow, one a line; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "remove")]
    pub(crate) add: Option<PathBuf>,
    /// Subjects to follow no longer, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) remove: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct SubscriptionArguments {
    /// OIN.name
    pub(crate) name: SubscriptionName,
    #[command(flatten)]
    pub(crate) look: LookArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// OIN.name
    pub(crate) name: SubscriptionName,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn attribute_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected ATTRIBUTE=VALUE, such as gemeente=0344".to_owned()),
    }
}
