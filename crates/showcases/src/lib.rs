//! The six projects of the e-government programme of 2008, played on Wissel.
//!
//! Each is a short play: a gateway as a process of its own, every party a client with a
//! certificate of its own, a transcript that can be read, and checks of what came to whom.
//! A script says what happens in the order in which it happens; [`Stage`] has what all
//! scripts need. The catalogue of each lies beside its script, and a page about it in
//! `docs/showcases/`.

mod case;
mod codes;
mod dienstenloket;
mod gateway;
mod klantdossier;
mod omgevingsloket;
mod party;
mod regelhulp;
mod rest;
mod schoolverlaten;
mod seen;
mod stage;
mod transcript;
mod verwijsindex;

use std::path::PathBuf;

use anyhow::Result;
use futures::future::BoxFuture;

pub use stage::Stage;

/// A project that can be played.
pub struct Showcase {
    /// By which it is called.
    pub name: &'static str,
    /// What it was called.
    pub title: &'static str,
    /// One sentence.
    pub about: &'static str,
    catalogue: &'static str,
    /// The inbox that is answered over HTTP, when there is one.
    http_inbox: Option<&'static str>,
    play: for<'a> fn(&'a mut Stage) -> BoxFuture<'a, Result<()>>,
}

/// How one is played.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that serves: `wissel` itself.
    pub wissel: PathBuf,
    /// `embedded`, or the URL of a RabbitMQ.
    pub bus: String,
    /// Kill the gateway (kill -9) in the middle of each so many steps, and start it again.
    pub kill_every: Option<u32>,
}

/// Every project, in the order of the programme.
pub const ALL: &[Showcase] = &[
    Showcase {
        name: "omgevingsloket",
        title: "Omgevingsloket",
        about: "An application for a permit comes to the authority that is competent for its kind and place",
        catalogue: include_str!("omgevingsloket.toml"),
        http_inbox: None,
        play: |stage| Box::pin(omgevingsloket::play(stage)),
    },
    Showcase {
        name: "klantdossier",
        title: "Digitaal klantdossier",
        about: "What is known of a client is gathered from six sources, and not asked again",
        catalogue: include_str!("klantdossier.toml"),
        http_inbox: Some(klantdossier::HTTP_INBOX),
        play: |stage| Box::pin(klantdossier::play(stage)),
    },
    Showcase {
        name: "schoolverlaten",
        title: "Landelijk Digitaal Loket Schoolverlaten",
        about: "Absence from school comes to the municipality where a pupil lives, wherever the school is",
        catalogue: include_str!("schoolverlaten.toml"),
        http_inbox: None,
        play: |stage| Box::pin(schoolverlaten::play(stage)),
    },
    Showcase {
        name: "regelhulp",
        title: "Wmo/Regelhulp",
        about: "One application goes to each body that it concerns, and whoever applied sees one status",
        catalogue: include_str!("regelhulp.toml"),
        http_inbox: None,
        play: |stage| Box::pin(regelhulp::play(stage)),
    },
    Showcase {
        name: "verwijsindex",
        title: "Verwijsindex risicojongeren",
        about: "Who worries about a child hears who else does, and nothing more",
        catalogue: include_str!("verwijsindex.toml"),
        http_inbox: None,
        play: |stage| Box::pin(verwijsindex::play(stage)),
    },
    Showcase {
        name: "dienstenloket",
        title: "Dienstenloket",
        about: "An entrepreneur from abroad has proof of receipt, and a permit when nobody decides in time",
        catalogue: include_str!("dienstenloket.toml"),
        http_inbox: None,
        play: |stage| Box::pin(dienstenloket::play(stage)),
    },
];

impl Showcase {
    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|one| one.name == name)
    }

    /// Plays it: the transcript goes to standard output.
    ///
    /// # Errors
    /// When something is not as it should be: what, and where the gateway's log is.
    pub async fn run(&self, options: &Options) -> Result<()> {
        let mut stage = Stage::open(self, options).await?;
        let played = (self.play)(&mut stage).await;
        stage.close(played).await
    }
}
