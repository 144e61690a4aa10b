//! What the map shows: each event type, in force or planned, with who sends and who has it.

use std::collections::BTreeSet;

use wissel_catalogue::{Action, Catalogue, DraftGrant, DraftType, EventType, Grant, Lack};
use wissel_identifiers::Oin;

/// One event type, with who may send and have it, or is to.
pub(super) struct Flow<'a> {
    pub(super) name: &'a str,
    pub(super) owner: Option<Oin>,
    /// Whether the event type itself is planned only. Then all its lines are.
    pub(super) is_draft: bool,
    pub(super) from: Vec<Line<'a>>,
    pub(super) to: Vec<Line<'a>>,
    /// What the event type lacks, without its lines.
    pub(super) lacks: Vec<Lack>,
}

/// One party at one end of a flow.
pub(super) struct Line<'a> {
    pub(super) party: Oin,
    pub(super) purpose: Option<&'a str>,
    pub(super) legal_basis: Option<&'a str>,
    pub(super) is_draft: bool,
    /// What the draft of a grant lacks.
    pub(super) lacks: &'a [Lack],
}

/// Every flow of a catalogue, by name.
pub(super) fn flows(catalogue: &Catalogue) -> Vec<Flow<'_>> {
    let in_force = catalogue.event_types().map(|one| Flow::in_force(catalogue, one));
    let planned = catalogue.drafts().types().iter().map(|one| Flow::planned(catalogue, one));
    let mut all: Vec<Flow> = in_force.chain(planned).collect();
    all.sort_by_key(|flow| flow.name);
    all
}

impl<'a> Flow<'a> {
    fn in_force(catalogue: &'a Catalogue, event_type: &'a EventType) -> Self {
        let lines = |action| {
            let rights = catalogue.rights(&event_type.name);
            let granted = rights.map(|rights| rights.grants(action)).unwrap_or_default();
            let mut lines: Vec<Line> = granted.into_iter().map(|one| Line::in_force(one)).collect();
            let nobody = lines.is_empty();
            lines.extend(planned_lines(catalogue, &event_type.name, action));
            (lines, nobody)
        };
        let ((from, no_source), (to, no_taker)) = (lines(Action::Publish), lines(Action::Receive));
        let lacks = [(Lack::Publisher, no_source), (Lack::Receiver, no_taker)];
        let lacks = lacks.into_iter().filter(|(_, is_so)| *is_so).map(|(lack, _)| lack).collect();
        Self {
            name: &event_type.name,
            owner: Some(event_type.owner),
            is_draft: false,
            from,
            to,
            lacks,
        }
    }

    fn planned(catalogue: &'a Catalogue, draft: &'a DraftType) -> Self {
        Self {
            name: &draft.name,
            owner: draft.owner,
            is_draft: true,
            from: planned_lines(catalogue, &draft.name, Action::Publish).collect(),
            to: planned_lines(catalogue, &draft.name, Action::Receive).collect(),
            lacks: draft.lacks.clone(),
        }
    }

    /// Who sends, then who has it.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line<'a>> {
        self.from.iter().chain(&self.to)
    }

    /// What it and its lines lack.
    pub(super) fn all_lacks(&self) -> Vec<Lack> {
        let all = self.lacks.iter().copied().chain(self.lines().flat_map(Line::own_lacks));
        all.collect::<BTreeSet<Lack>>().into_iter().collect()
    }

    /// Whether there is nothing to say of it: it is in force, and lacks nothing.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_draft && self.lacks.is_empty() && self.lines().all(|line| !line.is_draft)
    }

    pub(super) fn concerns(&self, party: Oin) -> bool {
        self.owner == Some(party) || self.lines().any(|line| line.party == party)
    }
}

impl<'a> Line<'a> {
    fn in_force(grant: &'a Grant) -> Self {
        Self {
            party: grant.party,
            purpose: Some(&grant.purpose),
            legal_basis: Some(&grant.legal_basis),
            is_draft: false,
            lacks: &[],
        }
    }

    fn planned(draft: &'a DraftGrant) -> Self {
        Self {
            party: draft.party,
            purpose: draft.purpose.as_deref(),
            legal_basis: draft.legal_basis.as_deref(),
            is_draft: true,
            lacks: &draft.lacks,
        }
    }

    /// What it lacks that its flow does not tell: whether the event type is in force.
    pub(super) fn own_lacks(&self) -> impl Iterator<Item = Lack> + use<'a> {
        self.lacks.iter().copied().filter(|lack| *lack != Lack::EventType)
    }
}

fn planned_lines<'a>(
    catalogue: &'a Catalogue,
    event_type: &str,
    action: Action,
) -> impl Iterator<Item = Line<'a>> + use<'a> {
    let all = catalogue.drafts().grants_on(event_type).iter();
    all.filter(move |one| one.action == action).map(Line::planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = r#"
        [[party]]
        oin = "00000099000000001000"
        name = "Registry"
        [[event_type]]
        name = "nl.brp.geboorte"
        owner = "00000099000000001000"
        description = "A birth was registered."
        [[grant]]
        party = "00000099000000001000"
        type = "nl.brp.geboorte"
        action = "publish"
        purpose = "To tell"
        legal_basis = "Wet BRP"
        [[grant]]
        draft = true
        party = "00000099000000001000"
        type = "nl.brp.geboorte"
        action = "receive"
        purpose = "To check"
        legal_basis = "Wet BRP"
        [[event_type]]
        draft = true
        name = "nl.brp.adoptie"
        description = "An adoption was registered."
        [[grant]]
        draft = true
        party = "00000099000000001000"
        type = "nl.brp.adoptie"
        action = "publish"
        purpose = "To tell"
    "#;

    #[test]
    fn a_flow_lacks_what_it_and_its_lines_lack() {
        let catalogue = Catalogue::from_toml("a.toml", CATALOGUE).unwrap();
        let flows = flows(&catalogue);
        let [planned, in_force] = &flows[..] else { panic!("{} flows", flows.len()) };
        assert_eq!((planned.name, planned.is_draft, planned.owner), ("nl.brp.adoptie", true, None));
        // That the event type of a line is a draft is said by the flow.
        assert_eq!(planned.all_lacks(), [Lack::Owner, Lack::Receiver, Lack::LegalBasis]);
        assert_eq!((in_force.name, in_force.is_draft), ("nl.brp.geboorte", false));
        // Who is to receive it may not yet.
        assert_eq!(in_force.all_lacks(), [Lack::Receiver]);
        let drafts: Vec<bool> = in_force.lines().map(|line| line.is_draft).collect();
        assert_eq!(drafts, [false, true]);
        assert!(!planned.is_whole() && !in_force.is_whole());
    }
}
