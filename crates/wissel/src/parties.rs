//! `wissel parties`: who takes part, with which inboxes, and what each may.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde_json::{Value, json};
use wissel_catalogue::{Action, Catalogue, DraftGrant, Grant, Mandate, Party};
use wissel_identifiers::{InboxName, Oin};

use crate::amounts::amount;
use crate::catalogue::{drafts, grants, meant, named};
use crate::cli::{PartiesCommand, PartyArguments};
use crate::exit::Failure;
use crate::{output, watching};

pub(crate) async fn run(command: &PartiesCommand) -> Result<(), Failure> {
    match command {
        PartiesCommand::List(of) => {
            let list = || async { list(&meant(of).await?, of.look.json) };
            watching::show(&of.look, list).await
        }
        PartiesCommand::Show(PartyArguments { party, of }) => {
            let show = || async { show(&meant(of).await?, party, of.look.json) };
            watching::show(&of.look, show).await
        }
    }
}

/// A party, and all that the catalogue says of it.
struct Known<'a> {
    party: &'a Party,
    /// Those that its declared subscriptions feed. Others are made through the API.
    inboxes: BTreeSet<&'a InboxName>,
    publish: Vec<&'a Grant>,
    receive: Vec<&'a Grant>,
    mandates: Vec<&'a Mandate>,
    drafts: Vec<&'a DraftGrant>,
}

impl<'a> Known<'a> {
    fn of(catalogue: &'a Catalogue, party: &'a Party) -> Self {
        let oin = party.oin;
        let declared = catalogue.subscriptions().iter().filter(|one| one.inbox.owner() == oin);
        let granted = |action| {
            let all = catalogue.grants_of(&oin, action);
            all.into_iter().map(AsRef::as_ref).collect()
        };
        Self {
            party,
            inboxes: declared.map(|one| &one.inbox).collect(),
            publish: granted(Action::Publish),
            receive: granted(Action::Receive),
            mandates: catalogue.mandates_about(oin).into_iter().map(AsRef::as_ref).collect(),
            drafts: catalogue.drafts().grants().iter().filter(|one| one.party == oin).collect(),
        }
    }

    fn to_json(&self) -> Value {
        let grants = self.publish.iter().chain(&self.receive).map(|grant| grants::to_json(grant));
        json!({
            "oin": self.party.oin,
            "name": self.party.name,
            "kvk_number": self.party.kvk_number.as_ref().map(ToString::to_string),
            "strict": self.party.strict,
            "publish_per_second": self.party.publish_per_second,
            "inboxes": self.inboxes,
            "grants": grants.collect::<Vec<_>>(),
            "mandates": self.mandates.iter().map(|one| mandate_json(one)).collect::<Vec<_>>(),
            "drafts": self.drafts.iter().map(|one| drafts::grant_to_json(one)).collect::<Vec<_>>(),
        })
    }

    fn tell(&self, catalogue: &Catalogue) {
        let Party { oin, name, strict, publish_per_second, .. } = self.party;
        output::line(&format!("{oin} {name}"));
        if *strict {
            output::line("its messages are refused for what they should be, too");
        }
        if let Some(most) = publish_per_second {
            let most = amount(most.get(), "message", "messages");
            output::line(&format!("publishes at most {most} a second"));
        }
        let inboxes: Vec<String> = self.inboxes.iter().map(ToString::to_string).collect();
        let inboxes = if inboxes.is_empty() { "none".to_owned() } else { inboxes.join(", ") };
        output::line(&format!("inboxes of the catalogue: {inboxes}"));
        for (action, all) in [(Action::Publish, &self.publish), (Action::Receive, &self.receive)] {
            let count = amount(all.len(), "event type", "event types");
            output::line(&format!("\nmay {action} {count}"));
            let rows = all.iter().map(|grant| {
                let mut row = vec![grant.event_type.to_string()];
                row.extend(grants::cells(grant));
                row
            });
            let columns = ["EVENT TYPE", "PURPOSE", "LEGAL BASIS", "ROWS", "FIELDS"];
            output::table(&columns, rows.collect());
        }
        drafts::grants(catalogue, self.drafts.iter().copied());
        if self.mandates.is_empty() {
            return;
        }
        output::line("\nmandates");
        let rows = self.mandates.iter().map(|one| {
            let actions: Vec<String> = one.actions.iter().map(ToString::to_string).collect();
            vec![
                named(catalogue, &one.party),
                named(catalogue, &one.principal),
                actions.join(", "),
                one.types.as_ref().map_or_else(|| "all".to_owned(), |types| types.join(" ")),
                one.basis.to_string(),
                output::moment(one.until),
            ]
        });
        output::table(&["WHO", "FOR", "MAY", "EVENT TYPES", "BASIS", "UNTIL"], rows.collect());
    }
}

fn list(catalogue: &Catalogue, as_json: bool) -> Result<(), Failure> {
    let all = catalogue.parties().map(|party| Known::of(catalogue, party));
    if as_json {
        return all.map(|known| known.to_json()).try_for_each(|one| output::json(&one));
    }
    let rows = all.map(|known| {
        vec![
            known.party.oin.to_string(),
            known.party.name.clone(),
            known.inboxes.len().to_string(),
            known.publish.len().to_string(),
            known.receive.len().to_string(),
            known.mandates.len().to_string(),
        ]
    });
    let columns = ["OIN", "NAME", ">INBOXES", ">MAY PUBLISH", ">MAY RECEIVE", ">MANDATES"];
    output::table(&columns, rows.collect());
    Ok(())
}

fn show(catalogue: &Catalogue, wanted: &Oin, as_json: bool) -> Result<(), Failure> {
    let Some(party) = catalogue.party(wanted) else {
        return Err(Failure::refused(format!(
            "{wanted}: no party of the catalogue; `wissel parties list` lists those that are"
        )));
    };
    let known = Known::of(catalogue, party);
    if as_json {
        return output::json(&known.to_json());
    }
    known.tell(catalogue);
    Ok(())
}

fn mandate_json(mandate: &Mandate) -> Value {
    json!({
        "party": mandate.party,
        "for": mandate.principal,
        "actions": mandate.actions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "types": mandate.types,
        "basis": mandate.basis,
        "from": mandate.from.map(output::moment),
        "until": output::moment(mandate.until),
        "holds_now": mandate.holds_at(SystemTime::now()),
    })
}
