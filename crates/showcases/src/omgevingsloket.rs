//! Omgevingsloket: an application for a permit comes to the authority that is competent for its
//! kind and place, and its term is that of the law.

mod asking;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::json;
use wissel_client::{CaseState, Event, Uuid};
use wissel_terms::{Calendar, Term};

use crate::Stage;
use crate::case::{last_day, since, states, tells};
use crate::party::{Party, data_of};
use crate::seen::{Received, Seen};

use asking::{Place, advice_on, advise, advisers_answer, find_places, registries_answer};

const REGULAR: &str = "nl.omgevingsloket.aanvraag";
const EXTENDED: &str = "nl.omgevingsloket.aanvraag-uitgebreid";
const STATUS: &str = "nl.omgevingsloket.status";
/// The applicant: a number of the test range.
const APPLICANT: &str = "999990342";
/// How long a term stands still here.
const STANDS_STILL: Duration = Duration::from_millis(1_200);

/// An authority, and what has come to it.
struct Authority {
    party: Party,
    cases: Seen,
}

struct Cast {
    counter: Party,
    post: Seen,
    registries: [Party; 2],
    utrecht: Authority,
    zeist: Authority,
    province: Authority,
    water: Authority,
    advisers: [Party; 3],
    /// Whether an adviser got to know who applies.
    applicant_known: Arc<AtomicBool>,
}

/// An application that is with an authority.
struct Sent {
    case: Uuid,
    event: Event,
}

pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    let cast = Cast::enter(stage).await?;
    let places = find_places(stage, &cast).await?;
    let [house_at, landfill_at, dyke_at, shed_at, nowhere] = &places;

    let house = application(&cast, REGULAR, "bouwen", "een dakkapel", house_at)?;
    let house = send(stage, &cast, "a house in Utrecht", house, &cast.utrecht).await?;
    let landfill = application(&cast, EXTENDED, "stortplaats", "een stortplaats", landfill_at)?;
    let landfill = send(stage, &cast, "a landfill in Zeist", landfill, &cast.province).await?;
    let dyke = application(&cast, REGULAR, "waterkering", "een steiger", dyke_at)?;
    let dyke = send(stage, &cast, "a landing stage on a dyke", dyke, &cast.water).await?;
    let gets_only = |authority: &Authority, sent: &Sent| ids(authority) == [sent.event.id()];
    stage.check(
        "municipality, province and water board each have one, and no other",
        gets_only(&cast.utrecht, &house)
            && gets_only(&cast.province, &landfill)
            && gets_only(&cast.water, &dyke)
            && ids(&cast.zeist).is_empty(),
    );

    let nobodys = application(&cast, REGULAR, "bouwen", "een schuur", nowhere)?;
    refuse(stage, &cast, &nobodys, &[&house, &landfill, &dyke]).await?;
    decide_on_house(stage, &cast, &house).await?;
    hear_about_landfill(stage, &cast, &landfill).await?;
    let shed = application(&cast, REGULAR, "bouwen", "een schuur", shed_at)?;
    let shed = send(stage, &cast, "a shed, with the wrong box ticked", shed, &cast.zeist).await?;
    send_on(stage, &cast, &shed).await
}

impl Cast {
    async fn enter(stage: &Stage) -> Result<Self> {
        let counter = stage.party("00000099000000011000", "Loket").await?;
        let bag = stage.party("00000099000000012000", "BAG").await?;
        let brk = stage.party("00000099000000013000", "BRK").await?;
        let omgevingsdienst = stage.party("00000099000000021000", "Omgevingsdienst").await?;
        let ggd = stage.party("00000099000000022000", "GGD").await?;
        let veiligheidsregio = stage.party("00000099000000023000", "Veiligheidsregio").await?;
        registries_answer(&bag, &brk);
        let advisers = [omgevingsdienst, ggd, veiligheidsregio];
        let applicant_known = advisers_answer(&advisers);
        Ok(Self {
            post: counter.receives("post"),
            counter,
            registries: [bag, brk],
            utrecht: Authority::of(stage, "00000099000000014000", "Utrecht").await?,
            zeist: Authority::of(stage, "00000099000000015000", "Zeist").await?,
            province: Authority::of(stage, "00000099000000016000", "Provincie").await?,
            water: Authority::of(stage, "00000099000000017000", "Waterschap").await?,
            advisers,
            applicant_known,
        })
    }

    /// What the counter is told of a case.
    async fn told(&self, case: Uuid, state: CaseState) -> Result<Received> {
        self.post.wait(state.as_str(), |event| tells(event, case, state)).await
    }

    fn authorities(&self) -> [&Authority; 4] {
        [&self.utrecht, &self.zeist, &self.province, &self.water]
    }
}

impl Authority {
    async fn of(stage: &Stage, oin: &str, name: &'static str) -> Result<Self> {
        let party = stage.party(oin, name).await?;
        Ok(Self { cases: party.receives("zaken"), party })
    }
}

/// The code of the province that a municipality is in.
fn province_of(municipality: &str) -> &'static str {
    match municipality {
        "0344" | "0355" => "26",
        _ => "00",
    }
}

fn application(
    cast: &Cast,
    event_type: &str,
    activity: &str,
    work: &str,
    place: &Place,
) -> Result<Event> {
    let data = json!({
        "werk": work,
        "verblijfsobject": place.object,
        "aanvrager": { "naam": "J. Proef", "bsn": APPLICANT },
    });
    let event = cast.counter.event(event_type).subject(&place.parcel).data_json(&data);
    let event = event
        .extension("activiteit", activity)
        .extension("gemeente", place.municipality.as_str())
        .extension("provincie", province_of(&place.municipality));
    Ok(event.build()?)
}

/// The applications of this play that have come to an authority.
fn ids(authority: &Authority) -> Vec<String> {
    let own = |event: &Event| authority.party.is_of_play(event) && event.subject().is_some();
    let all: BTreeSet<String> =
        authority.cases.all(own).iter().map(|one| one.event.id().to_owned()).collect();
    all.into_iter().collect()
}

async fn send(
    stage: &mut Stage,
    cast: &Cast,
    what: &str,
    event: Event,
    competent: &Authority,
) -> Result<Sent> {
    stage.step(&cast.counter, &format!("sends in an application: {what}")).await?;
    let receipt = cast.counter.publish(&event).await?;
    let Authority { party, cases } = competent;
    cases.wait_for(what, &receipt).await?;
    let inboxes: Vec<String> = receipt.inboxes.iter().map(ToString::to_string).collect();
    let expected = format!("{}.zaken", party.oin);
    stage.check(&format!("it comes to {}, says the receipt", party.name), inboxes == [expected]);
    Ok(Sent { case: receipt.message_id, event })
}

async fn cases_of(counter: &Party) -> Result<BTreeSet<Uuid>> {
    let all = counter.until_done(|| counter.client.list_cases(false).all()).await?;
    Ok(all.iter().map(|case| case.id).collect())
}

async fn refuse(stage: &mut Stage, cast: &Cast, event: &Event, sent: &[&Sent]) -> Result<()> {
    let counter = &cast.counter;
    stage.step(counter, "sends in one for a municipality that takes no part").await?;
    for one in sent {
        counter.case(one.case).await?;
    }
    let before = cases_of(counter).await?;
    let refused = counter.refused(|| counter.client.publish(event)).await?;
    stage.check("it is refused to the counter: AUDIENCE_UNMET", refused == "AUDIENCE_UNMET");
    let mut kept = !cases_of(counter).await?.is_subset(&before);
    for one in cast.authorities() {
        kept |= !one.cases.none(|other| other.id() == event.id()).await;
    }
    stage.check("nothing of it is kept: no case, and nothing with anybody", !kept);
    Ok(())
}

async fn decide_on_house(stage: &mut Stage, cast: &Cast, house: &Sent) -> Result<()> {
    let (utrecht, counter) = (&cast.utrecht.party, &cast.counter);
    stage.step(utrecht, "confirms that it came in").await?;
    let case = utrecht.says(house.case, CaseState::Received, STATUS, &json!({})).await?;
    cast.told(house.case, CaseState::Received).await?;
    let end = case.ends_at.context("the case has a term")?;
    let last = last_day(end)?;
    stage.note(&format!("it has to decide by {last}, a {:?}", last.weekday()));
    stage.check(
        "that is eight weeks, or longer by the Algemene termijnenwet",
        is_by_law(end, "8 weeks", case.opened_at)?,
    );
    stage.check("and a working day", Calendar::new().is_working_day(last));

    stage.step(utrecht, "asks the applicant for a drawing: the term stands still").await?;
    let asked = json!({ "gevraagd": "een constructietekening" });
    let suspended = utrecht.says(house.case, CaseState::Suspended, STATUS, &asked).await?;
    stage.check("the term stands still", suspended.suspended_at.is_some());
    let event = cast.told(house.case, CaseState::Suspended).await?.event;
    stage.check("the counter knows what is asked for", data_of(&event) == asked);
    tokio::time::sleep(STANDS_STILL).await;

    stage.step(counter, "sends the drawing").await?;
    let drawing = counter
        .event("nl.omgevingsloket.aanvulling")
        .subject(house.event.subject().unwrap_or_default())
        .extension("activiteit", "bouwen")
        .extension("gemeente", "0344")
        .extension("correlationid", house.case.to_string())
        .data_json(&json!({ "bijlage": "tekening 1" }))
        .build()?;
    let receipt = counter.publish(&drawing).await?;
    cast.utrecht.cases.wait_for("the drawing", &receipt).await?;

    stage.step(utrecht, "goes on: the term runs again").await?;
    let resumed = utrecht.says(house.case, CaseState::Resumed, STATUS, &json!({})).await?;
    cast.told(house.case, CaseState::Resumed).await?;
    let at = |state| since(&resumed, state).with_context(|| format!("the case was {state}"));
    let stood_still = at(CaseState::Resumed)?.duration_since(at(CaseState::Suspended)?)?;
    let later = resumed.ends_at.context("the case has a term")?.duration_since(end)?;
    stage.note(&format!("it stood still for {} ms", stood_still.as_millis()));
    stage.check(
        "the end is as much later as the term stood still",
        stood_still >= STANDS_STILL && later.abs_diff(stood_still) <= Duration::from_millis(2),
    );

    stage.step(utrecht, "asks the Veiligheidsregio for advice").await?;
    let advice = advise(utrecht, &house.event, &cast.advisers[2..]).await?;
    stage.check("there is advice, on this work", advice == [advice_on("een dakkapel")]);

    stage.step(utrecht, "decides").await?;
    let granted = json!({ "besluit": "verleend" });
    let decided = utrecht.says(house.case, CaseState::Decided, STATUS, &granted).await?;
    let event = cast.told(house.case, CaseState::Decided).await?.event;
    stage.check("the counter has the decision: granted", data_of(&event) == granted);
    stage.check(
        "the case is closed, and it is known how it went",
        decided.closed && states(&decided) == ["RECEIVED", "SUSPENDED", "RESUMED", "DECIDED"],
    );
    Ok(())
}

/// Whether a term of the law that began then ends at this moment.
fn is_by_law(end: SystemTime, term: &str, began: SystemTime) -> Result<bool> {
    let term: Term = term.parse()?;
    let by_law = term.ends(jiff::Timestamp::try_from(began)?, &Calendar::new());
    Ok(jiff::Timestamp::try_from(end)? == by_law)
}

async fn hear_about_landfill(stage: &mut Stage, cast: &Cast, landfill: &Sent) -> Result<()> {
    let province = &cast.province.party;
    stage.step(province, "gathers advice from Omgevingsdienst, GGD and Veiligheidsregio").await?;
    let advice = advise(province, &landfill.event, &cast.advisers).await?;
    let expected = advice_on("een stortplaats");
    stage.check("all three advise", advice == vec![expected; 3]);
    stage.check(
        "none of them got to know who applies",
        !cast.applicant_known.load(Ordering::Relaxed),
    );
    let case = province.case(landfill.case).await?;
    let end = case.ends_at.context("the case has a term")?;
    stage.note(&format!("it goes by the extended procedure, and ends on {}", last_day(end)?));
    stage.check("that is after six months", is_by_law(end, "6 months", case.opened_at)?);
    Ok(())
}

async fn send_on(stage: &mut Stage, cast: &Cast, shed: &Sent) -> Result<()> {
    let (zeist, water) = (&cast.zeist.party, &cast.water.party);
    let before = cast.counter.case(shed.case).await?;
    stage.step(zeist, "sends it on: the shed is to stand on the dyke").await?;
    let case = zeist.until_done(|| zeist.client.forward_case(shed.case, water.oin)).await?;
    let came = cast.water.cases.wait("the shed", |one| one.id() == shed.event.id()).await?;
    stage.check(
        "the water board has it as it was sent in, from the counter",
        came.message_id == shed.case
            && came.publisher == cast.counter.oin
            && data_of(&came.event) == data_of(&shed.event),
    );
    cast.told(shed.case, CaseState::Forwarded).await?;
    stage.check(
        "the counter is told who has it, and the term runs on",
        case.holder == water.oin && case.ends_at == before.ends_at,
    );

    stage.step(zeist, "tries to decide on it nevertheless").await?;
    let decision = zeist.event(STATUS).data_json(&json!({ "besluit": "verleend" })).build()?;
    let decided = || zeist.client.set_status(shed.case, CaseState::Decided, &decision);
    let refused = zeist.refused(decided).await?;
    stage.check("it is refused: NOT_GRANTED", refused == "NOT_GRANTED");

    stage.step(water, "decides").await?;
    let denied = json!({ "besluit": "geweigerd" });
    let case = water.says(shed.case, CaseState::Decided, STATUS, &denied).await?;
    let decision = cast.told(shed.case, CaseState::Decided).await?.event;
    stage
        .check("the counter has the decision: denied", case.closed && data_of(&decision) == denied);
    let utrecht = &cast.utrecht.party;
    let refused = utrecht.refused(|| utrecht.client.get_case(shed.case)).await?;
    stage.check("Utrecht does not learn that there was a shed", refused == "UNKNOWN_CASE");
    Ok(())
}
