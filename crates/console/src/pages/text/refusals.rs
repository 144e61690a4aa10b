//! What the codes of refusals, and of answers that do not come, mean.

use wissel_broker::Reason;
use wissel_exchange::FailureCode;

/// In English and in Dutch.
pub(super) fn meaning(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Unauthenticated => {
            ("It is not known who calls.", "Het is niet bekend wie het verzoek doet.")
        }
        Reason::MalformedMessage => {
            ("What came is no CloudEvent.", "Wat binnenkwam, is geen CloudEvent.")
        }
        Reason::InvalidMessage => (
            "The message breaks rules of CloudEvents, or of its event type.",
            "Het bericht voldoet niet aan de regels van CloudEvents, of van zijn soort gebeurtenis.",
        ),
        Reason::MessageTooLarge => ("The message is too large.", "Het bericht is te groot."),
        Reason::UnknownEventType => (
            "The catalogue has no such event type for this party.",
            "De catalogus kent deze soort gebeurtenis niet voor deze partij.",
        ),
        Reason::NotGranted => ("There is no right to do this.", "Hiervoor ontbreekt het recht."),
        Reason::NoMandate => (
            "There is no mandate to act for the other party in this.",
            "Er is geen machtiging om hierin voor de andere partij te handelen.",
        ),
        Reason::SourceOfAnother => (
            "Its source names another organisation than its publisher.",
            "De bron (source) noemt een andere organisatie dan de afzender.",
        ),
        Reason::AudienceUnmet => (
            "It found another number of recipients than its event type needs.",
            "Het aantal ontvangers is een ander dan deze soort gebeurtenis vereist.",
        ),
        Reason::MinimisedDataInvalid => (
            "What a receiver may have of its data does not fit the schema by itself.",
            "Wat een ontvanger van de gegevens mag hebben, voldoet op zichzelf niet aan het schema.",
        ),
        Reason::RateLimited => {
            ("That is too many in a second.", "Dat zijn er te veel per seconde.")
        }
        Reason::InboxFull => {
            ("An inbox that it goes to is full.", "Een postbus waarvoor het bestemd is, is vol.")
        }
        Reason::TooManySubscriptions => (
            "The party has as many subscriptions as it may have.",
            "De partij heeft het maximale aantal abonnementen.",
        ),
        Reason::BusUnavailable => ("The bus does not work now.", "De bus werkt nu niet."),
        Reason::ShuttingDown => (
            "The gateway stops, and takes no new work.",
            "De gateway stopt, en neemt geen nieuw werk aan.",
        ),
        Reason::InvalidRequest => {
            ("Something that was asked for is not right.", "Er klopt iets niet in het verzoek.")
        }
        Reason::InvalidSubscription => {
            ("The subscription is not right.", "Het abonnement klopt niet.")
        }
        Reason::SubscriptionExists => (
            "There is another subscription of that name.",
            "Er is een ander abonnement met die naam.",
        ),
        Reason::UnknownSubscription => (
            "There is no such subscription, or it is another's.",
            "Dit abonnement bestaat niet, of het is van een ander.",
        ),
        Reason::UnknownInbox => (
            "There is no such inbox, or it is another's.",
            "Deze postbus bestaat niet, of hij is van een ander.",
        ),
        Reason::InboxClosed => (
            "The inbox was removed while it was open.",
            "De postbus werd verwijderd terwijl hij open was.",
        ),
        Reason::UnknownCase => (
            "There is no such case, or it is another's.",
            "Deze zaak bestaat niet, of is van een ander.",
        ),
        Reason::UnknownMessage => (
            "There is no such message, or it is another's.",
            "Dit bericht bestaat niet, of het is van een ander.",
        ),
        Reason::WrongState => (
            "The case does not stand so that this can be done.",
            "Dit kan niet in de huidige status van de zaak.",
        ),
        Reason::NoLongerKept => {
            ("The message is not kept any more.", "Het bericht wordt niet meer bewaard.")
        }
        Reason::NoExchange => (
            "The catalogue has no party that is the exchange.",
            "De catalogus heeft geen partij die Wissel zelf is.",
        ),
        Reason::NotAQuestion => ("The message is no question.", "Het bericht is geen vraag."),
        Reason::AnswerLate => ("No answer came in time.", "Er kwam niet op tijd een antwoord."),
        Reason::NotWaiting => ("Nobody waits for the answer.", "Niemand wacht op het antwoord."),
        Reason::NotAsked => (
            "The answer is from one who was not asked.",
            "Het antwoord komt van een partij aan wie niets is gevraagd.",
        ),
        Reason::SignalExists => (
            "There is a signal of that reference, about another subject.",
            "Er is een signaal met die referentie, over een ander onderwerp.",
        ),
        Reason::UnknownSignal => (
            "There is no such signal, or it is another's.",
            "Dit signaal bestaat niet, of het is van een ander.",
        ),
        Reason::Internal => (
            "Wissel itself failed; its log says more.",
            "Er ging in Wissel zelf iets mis; zie het logbestand.",
        ),
    }
}

/// What the codes mean by which parties say that they do not answer, in English and in Dutch.
pub(super) fn of_failure(code: FailureCode) -> (&'static str, &'static str) {
    match code {
        FailureCode::NotFound => (
            "What is asked about is not known there.",
            "Waar naar gevraagd wordt, is daar niet bekend.",
        ),
        FailureCode::InvalidQuestion => (
            "The question cannot be answered as it was put.",
            "De vraag kan zo niet worden beantwoord.",
        ),
        FailureCode::Refused => {
            ("This asker gets no answer to it.", "Deze vrager krijgt er geen antwoord op.")
        }
        FailureCode::Unavailable => (
            "What answers is not there now, or is too slow.",
            "Wat antwoord geeft, is nu niet bereikbaar of te traag.",
        ),
        FailureCode::Failed => {
            ("Something went wrong in answering.", "Bij het beantwoorden ging iets mis.")
        }
    }
}
