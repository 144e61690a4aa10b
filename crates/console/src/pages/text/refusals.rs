//! What the codes of refusals mean.

use wissel_broker::Reason;

/// In English and in Dutch.
pub(super) fn meaning(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Unauthenticated => {
            ("It is not known who calls.", "Het is niet bekend wie er vraagt.")
        }
        Reason::MalformedMessage => {
            ("What came is no CloudEvent.", "Wat er kwam is geen CloudEvent.")
        }
        Reason::InvalidMessage => (
            "The message breaks rules of CloudEvents, or of its event type.",
            "Het bericht breekt regels van CloudEvents, of van zijn soort gebeurtenis.",
        ),
        Reason::MessageTooLarge => ("The message is too large.", "Het bericht is te groot."),
        Reason::UnknownEventType => (
            "The catalogue has no such event type for this party.",
            "De catalogus heeft voor deze partij zo'n soort gebeurtenis niet.",
        ),
        Reason::NotGranted => ("There is no right to do this.", "Hier is geen recht op."),
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
            "Het vond een ander aantal ontvangers dan zijn soort gebeurtenis vraagt.",
        ),
        Reason::MinimisedDataInvalid => (
            "What a receiver may have of its data does not fit the schema by itself.",
            "Wat een ontvanger van de gegevens mag hebben, past op zichzelf niet in het schema.",
        ),
        Reason::RateLimited => {
            ("That is too many in a second.", "Dat zijn er te veel per seconde.")
        }
        Reason::InboxFull => {
            ("An inbox that it goes to is full.", "Een postbus waar het heen gaat, is vol.")
        }
        Reason::TooManySubscriptions => (
            "The party has as many subscriptions as it may have.",
            "De partij heeft zoveel abonnementen als zij mag hebben.",
        ),
        Reason::BusUnavailable => ("The bus does not work now.", "De bus werkt nu niet."),
        Reason::ShuttingDown => (
            "The gateway stops, and takes no new work.",
            "De gateway stopt, en neemt geen nieuw werk aan.",
        ),
        Reason::InvalidRequest => {
            ("Something that was asked for is not right.", "Iets in wat gevraagd werd, klopt niet.")
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
            "Zo'n abonnement is er niet, of het is van een ander.",
        ),
        Reason::UnknownInbox => (
            "There is no such inbox, or it is another's.",
            "Zo'n postbus is er niet, of hij is van een ander.",
        ),
        Reason::InboxClosed => (
            "The inbox was removed while it was open.",
            "De postbus werd verwijderd terwijl hij open was.",
        ),
        Reason::UnknownCase => (
            "There is no such case, or it is another's.",
            "Zo'n zaak is er niet, of hij is van een ander.",
        ),
        Reason::UnknownMessage => (
            "There is no such message, or it is another's.",
            "Zo'n bericht is er niet, of het is van een ander.",
        ),
        Reason::WrongState => (
            "The case does not stand so that this can be done.",
            "De zaak staat er niet zo voor dat dit kan.",
        ),
        Reason::NoLongerKept => {
            ("The message is not kept any more.", "Het bericht wordt niet meer bewaard.")
        }
        Reason::NoExchange => (
            "The catalogue has no party that is the exchange.",
            "De catalogus heeft geen partij die de wissel zelf is.",
        ),
        Reason::NotAQuestion => ("The message is no question.", "Het bericht is geen vraag."),
        Reason::AnswerLate => ("No answer came in time.", "Er kwam niet op tijd een antwoord."),
        Reason::NotWaiting => ("Nobody waits for the answer.", "Niemand wacht op het antwoord."),
        Reason::NotAsked => (
            "The answer is from one who was not asked.",
            "Het antwoord is van wie niet gevraagd was.",
        ),
        Reason::SignalExists => (
            "There is a signal of that reference, about another subject.",
            "Er is een signaal met die referentie, over een ander onderwerp.",
        ),
        Reason::UnknownSignal => (
            "There is no such signal, or it is another's.",
            "Zo'n signaal is er niet, of het is van een ander.",
        ),
        Reason::Internal => (
            "Wissel itself failed; its log says more.",
            "Er ging in Wissel zelf iets mis; zijn log zegt meer.",
        ),
        // A test holds that there is none.
        _ => ("", ""),
    }
}
