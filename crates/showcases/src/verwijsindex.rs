//! Verwijsindex risicojongeren: who worries about a child hears who else does, and nothing more;
//! what is wrong is taken back, what is old is forgotten, and a match moves with the child.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use wissel_client::{FiledSignal, NewSignal, Oin, Signal, Uuid};

use crate::Stage;
use crate::party::{Party, data_of};
use crate::seen::Seen;

const TYPE: &str = "nl.vir.match";
/// Three children: numbers of the test range.
const CHILD: &str = "999990342";
const ANOTHER: &str = "999990019";
const A_THIRD: &str = "999990160";
/// How long a signal is kept that is to be forgotten in this play.
const SHORT: Duration = Duration::from_secs(2);

/// Somebody who may file signals, and what it is told.
struct Concerned {
    party: Party,
    notices: Seen,
}

struct Cast {
    rotterdam: Concerned,
    school: Concerned,
    police: Concerned,
    utrecht: Concerned,
    club: Party,
}

pub(crate) async fn play(stage: &mut Stage) -> Result<()> {
    let cast = Cast {
        rotterdam: Concerned::of(stage, "00000099000000051000", "Jeugdhulp Rotterdam").await?,
        school: Concerned::of(stage, "00000099000000052000", "School").await?,
        police: Concerned::of(stage, "00000099000000053000", "Politie").await?,
        utrecht: Concerned::of(stage, "00000099000000054000", "Jeugdhulp Utrecht").await?,
        club: stage.party("00000099000000055000", "Sportvereniging").await?,
    };
    let care = first_signal(stage, &cast).await?;
    let school = they_meet(stage, &cast, care).await?;
    others_learn_nothing(stage, &cast).await?;
    what_is_old_is_forgotten(stage, &cast).await?;
    the_child_moves(stage, &cast, care, school).await?;
    it_was_wrong(stage, &cast, care, school).await
}

impl Concerned {
    async fn of(stage: &Stage, oin: &str, name: &'static str) -> Result<Self> {
        let party = stage.party(oin, name).await?;
        Ok(Self { notices: party.receives("matches"), party })
    }

    /// Files a signal; again with the same reference it is the same signal.
    async fn files(
        &self,
        child: &str,
        reference: &str,
        keep: Option<Duration>,
    ) -> Result<FiledSignal> {
        let signal = NewSignal::new(TYPE, child, reference);
        let signal = match keep {
            Some(keep) => signal.keep_for(keep),
            None => signal,
        };
        let client = &self.party.client;
        self.party
            .until_done(|| client.file_signal(&signal))
            .await
            .with_context(|| format!("{} files a signal", self.party.name))
    }

    /// What it is told of a signal of its own.
    async fn told(&self, what: &str, signal: Uuid, of: Oin) -> Result<Json> {
        let wanted = |data: &Json| is(data, what, signal) && data["party"]["oin"] == of.as_str();
        let came = self.notices.wait(what, |event| wanted(&data_of(event))).await?;
        Ok(data_of(&came.event))
    }

    /// How many notices told it this of a signal.
    fn times_told(&self, what: &str, signal: Uuid) -> usize {
        self.notices.count(|event| is(&data_of(event), what, signal))
    }

    async fn signals(&self) -> Result<Vec<Signal>> {
        self.party.until_done(|| self.party.client.list_signals().all()).await
    }
}

fn is(data: &Json, what: &str, signal: Uuid) -> bool {
    data["what"] == what && data["signal"] == signal.to_string()
}

async fn first_signal(stage: &mut Stage, cast: &Cast) -> Result<Uuid> {
    let (care, oin) = (&cast.rotterdam, cast.school.party.oin);
    stage.step(&care.party, "worries about a child, and files a signal").await?;
    let signal = care.files(CHILD, "dossier 17", None).await?.signal_id;
    let again = care.files(CHILD, "dossier 17", None).await?.signal_id;
    stage.check("filed twice it is one signal", again == signal);
    stage.check(
        "nobody is told of it",
        care.notices
            .none(|event| {
                data_of(event)["party"]["oin"] == oin.as_str()
                    && is(&data_of(event), "match", signal)
            })
            .await,
    );
    Ok(signal)
}

async fn they_meet(stage: &mut Stage, cast: &Cast, care: Uuid) -> Result<Uuid> {
    let Cast { rotterdam, school, police, .. } = cast;
    stage.step(&school.party, "worries about the same child").await?;
    let signal = school.files(CHILD, "leerling 4-B", None).await?.signal_id;
    let told_care = rotterdam.told("match", care, school.party.oin).await?;
    let told_school = school.told("match", signal, rotterdam.party.oin).await?;
    stage.note(&format!("Jeugdhulp Rotterdam is told: {}", told_care["party"]["name"]));
    stage.note(&format!("School is told: {}", told_school["party"]["name"]));
    let expected = json!({
        "what": "match",
        "signal": care.to_string(),
        "reference": "dossier 17",
        "party": { "oin": school.party.oin.as_str(), "name": "School" },
    });
    stage.check("each is told who the other is, and nothing of why", told_care == expected);

    stage.step(&police.party, "worries about another child").await?;
    let other = police.files(ANOTHER, "mutatie 8", None).await?.signal_id;
    let nothing = police.notices.none(|event| is(&data_of(event), "match", other)).await;
    stage.check("nobody else does, and nothing is told", nothing);
    Ok(signal)
}

async fn others_learn_nothing(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let Cast { police, club, rotterdam, .. } = cast;
    stage.step(club, "wants to know whether its member is in the index").await?;
    let signal = NewSignal::new(TYPE, CHILD, "lid 12");
    let refused = club.refused(|| club.client.file_signal(&signal)).await?;
    stage.check("it may file nothing: NOT_GRANTED", refused == "NOT_GRANTED");
    let own = police.signals().await?;
    stage.check(
        "who may file sees its own signals, without whom they are about",
        own.iter().all(|one| one.reference == "mutatie 8" && one.matches.is_empty()),
    );
    let of_care = rotterdam.signals().await?;
    let matched: Vec<Oin> =
        of_care.iter().flat_map(|one| &one.matches).map(|one| one.party).collect();
    stage.check("and with whom they match", matched == [cast.school.party.oin]);
    Ok(())
}

async fn what_is_old_is_forgotten(stage: &mut Stage, cast: &Cast) -> Result<()> {
    let Cast { police, school, .. } = cast;
    stage.step(&police.party, "files a signal about a third child, to be kept for 2 s").await?;
    let filed = police.files(A_THIRD, "mutatie 9", Some(SHORT)).await?;
    let left = filed.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(500)).await;

    stage.step(&school.party, "worries about that child, when that is over").await?;
    let late = school.files(A_THIRD, "leerling 2-C", None).await?.signal_id;
    let nothing = school.notices.none(|event| is(&data_of(event), "match", late)).await;
    stage.check("nothing is told: what is over its time is forgotten", nothing);
    let forgotten = police.signals().await?.iter().all(|one| one.signal_id != filed.signal_id);
    stage.check("the police no longer has it either", forgotten);
    Ok(())
}

async fn the_child_moves(stage: &mut Stage, cast: &Cast, care: Uuid, school: Uuid) -> Result<()> {
    let Cast { rotterdam, school: at_school, utrecht, .. } = cast;
    let (from, to) = (rotterdam.party.oin, utrecht.party.oin);
    stage.step(&rotterdam.party, "hands its signal on: the child moves to Utrecht").await?;
    let client = &rotterdam.party.client;
    let handed = rotterdam.party.refused(|| client.transfer_signal(care, to, None)).await?;
    // Tried again after a kill, it may be found to be another's already.
    stage.check("it is handed on", handed == "not refused" || handed == "UNKNOWN_SIGNAL");
    let received = utrecht.told("received", care, from).await;
    stage.check("Utrecht is told that it has it now, and from whom", received.is_ok());
    let matched = utrecht.told("match", care, at_school.party.oin).await;
    stage.check("and that it matches with that of the school", matched.is_ok());
    let moved = at_school.told("moved", school, to).await?;
    stage.check(
        "the school is told whom to call from now on",
        moved["previous"]["oin"] == from.as_str(),
    );
    let left = rotterdam.signals().await?;
    stage.check("Rotterdam has it no longer", left.iter().all(|one| one.signal_id != care));
    Ok(())
}

async fn it_was_wrong(stage: &mut Stage, cast: &Cast, care: Uuid, school: Uuid) -> Result<()> {
    let Cast { school: at_school, utrecht, .. } = cast;
    stage
        .step(&at_school.party, "finds that its signal was about another child, and withdraws it")
        .await?;
    let client = &at_school.party.client;
    let withdrawn = at_school.party.refused(|| client.withdraw_signal(school)).await?;
    stage.check("it is withdrawn", withdrawn == "not refused" || withdrawn == "UNKNOWN_SIGNAL");
    let told = utrecht.told("withdrawn", care, at_school.party.oin).await;
    stage.check("Utrecht hears that what it was told was wrong", told.is_ok());
    let left = utrecht.signals().await?;
    let unmatched =
        left.iter().filter(|one| one.signal_id == care).all(|one| one.matches.is_empty());
    stage.check("its own signal stays, and matches with none", !left.is_empty() && unmatched);
    stage.check("each was told once", utrecht.times_told("withdrawn", care) == 1);
    Ok(())
}
