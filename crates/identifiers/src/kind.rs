use std::fmt;
use std::str::FromStr;

use crate::{
    ANummer, BagKind, BagObjectId, Brin, Bsn, CadastralDesignation, Gemeentecode, IdentifierError,
    IdentifierFault, Kenteken, KvkNumber, Oin, Postcode, Rsin, Vestigingsnummer, WozObjectNumber,
};

/// The kinds of identifiers, by the names that a catalogue gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IdentifierKind {
    /// [`Oin`].
    Oin,
    /// [`Bsn`].
    Bsn,
    /// [`Rsin`].
    Rsin,
    /// [`ANummer`].
    ANummer,
    /// [`KvkNumber`].
    KvkNummer,
    /// [`Vestigingsnummer`].
    Vestigingsnummer,
    /// [`Brin`].
    Brin,
    /// [`BagObjectId`] of any kind.
    BagObject,
    /// [`BagObjectId`] of a [`BagKind::Verblijfsobject`].
    BagVerblijfsobject,
    /// [`BagObjectId`] of a [`BagKind::Ligplaats`].
    BagLigplaats,
    /// [`BagObjectId`] of a [`BagKind::Standplaats`].
    BagStandplaats,
    /// [`BagObjectId`] of a [`BagKind::Pand`].
    BagPand,
    /// [`BagObjectId`] of a [`BagKind::Nummeraanduiding`].
    BagNummeraanduiding,
    /// [`BagObjectId`] of a [`BagKind::OpenbareRuimte`].
    BagOpenbareRuimte,
    /// [`WozObjectNumber`].
    WozObject,
    /// [`CadastralDesignation`].
    KadastraleAanduiding,
    /// [`Kenteken`].
    Kenteken,
    /// [`Postcode`].
    Postcode,
    /// [`Gemeentecode`].
    Gemeentecode,
}

/// No kind of identifier has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no kind of identifier, expected one such as bsn, kvk-nummer or bag-pand")]
pub struct UnknownKind;

impl IdentifierKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::Oin,
        Self::Bsn,
        Self::Rsin,
        Self::ANummer,
        Self::KvkNummer,
        Self::Vestigingsnummer,
        Self::Brin,
        Self::BagObject,
        Self::BagVerblijfsobject,
        Self::BagLigplaats,
        Self::BagStandplaats,
        Self::BagPand,
        Self::BagNummeraanduiding,
        Self::BagOpenbareRuimte,
        Self::WozObject,
        Self::KadastraleAanduiding,
        Self::Kenteken,
        Self::Postcode,
        Self::Gemeentecode,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oin => "oin",
            Self::Bsn => "bsn",
            Self::Rsin => "rsin",
            Self::ANummer => "a-nummer",
            Self::KvkNummer => "kvk-nummer",
            Self::Vestigingsnummer => "vestigingsnummer",
            Self::Brin => "brin",
            Self::BagObject => "bag-object",
            Self::BagVerblijfsobject => "bag-verblijfsobject",
            Self::BagLigplaats => "bag-ligplaats",
            Self::BagStandplaats => "bag-standplaats",
            Self::BagPand => "bag-pand",
            Self::BagNummeraanduiding => "bag-nummeraanduiding",
            Self::BagOpenbareRuimte => "bag-openbare-ruimte",
            Self::WozObject => "woz-object",
            Self::KadastraleAanduiding => "kadastrale-aanduiding",
            Self::Kenteken => "kenteken",
            Self::Postcode => "postcode",
            Self::Gemeentecode => "gemeentecode",
        }
    }

    /// Whether it names a person, or leads to one at once.
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Bsn | Self::ANummer | Self::Kenteken)
    }

    /// Whether a text is an identifier of this kind.
    ///
    /// # Errors
    /// Which check failed.
    pub fn check(self, text: &str) -> Result<(), IdentifierError> {
        let bag = |wanted: Option<BagKind>, expected| {
            let found: BagObjectId =
                text.parse().map_err(|error| IdentifierError { kind: self, ..error })?;
            if wanted.is_none_or(|wanted| found.kind() == wanted) {
                return Ok(());
            }
            Err(IdentifierError { kind: self, fault: IdentifierFault::ObjectKind { expected } })
        };
        match self {
            Self::Oin => match text.parse::<Oin>() {
                Ok(_) => Ok(()),
                Err(error) => {
                    Err(IdentifierError { kind: self, fault: IdentifierFault::Oin(error) })
                }
            },
            Self::Bsn => text.parse::<Bsn>().map(drop),
            Self::Rsin => text.parse::<Rsin>().map(drop),
            Self::ANummer => text.parse::<ANummer>().map(drop),
            Self::KvkNummer => text.parse::<KvkNumber>().map(drop),
            Self::Vestigingsnummer => text.parse::<Vestigingsnummer>().map(drop),
            Self::Brin => text.parse::<Brin>().map(drop),
            Self::BagObject => bag(None, "any"),
            Self::BagVerblijfsobject => bag(Some(BagKind::Verblijfsobject), "01"),
            Self::BagLigplaats => bag(Some(BagKind::Ligplaats), "02"),
            Self::BagStandplaats => bag(Some(BagKind::Standplaats), "03"),
            Self::BagPand => bag(Some(BagKind::Pand), "10"),
            Self::BagNummeraanduiding => bag(Some(BagKind::Nummeraanduiding), "20"),
            Self::BagOpenbareRuimte => bag(Some(BagKind::OpenbareRuimte), "30"),
            Self::WozObject => text.parse::<WozObjectNumber>().map(drop),
            Self::KadastraleAanduiding => text.parse::<CadastralDesignation>().map(drop),
            Self::Kenteken => text.parse::<Kenteken>().map(drop),
            Self::Postcode => text.parse::<Postcode>().map(drop),
            Self::Gemeentecode => text.parse::<Gemeentecode>().map(drop),
        }
    }
}

impl FromStr for IdentifierKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownKind)
    }
}

impl fmt::Display for IdentifierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
