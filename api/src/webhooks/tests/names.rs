//! Names that nobody has, that nobody answers for, and whose turn it is not yet.

use std::sync::Arc;

use async_trait::async_trait;
use raincheck_shared::domain::CallbackUrl;

use super::super::Webhooks;
use super::*;

/// Says this of every name, as the standard library passes it on.
struct Says(&'static str);

#[async_trait]
impl Resolve for Says {
    async fn resolve(&self, _: &str, _: u16, _: Permit) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other(format!("failed to lookup address information: {}", self.0)))
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_told_as_such() {
    let url: CallbackUrl = "https://nobody.invalid/".parse().unwrap();
    let none = addresses(&destinations(&[], names([&[]])), &url).await;
    assert!(matches!(none, Err(DestinationError::Unresolved(None))), "{none:?}");
    let system = addresses(&destinations(&[], Arc::new(SystemResolver)), &url).await;
    assert!(
        matches!(
            system,
            Err(DestinationError::Unresolved(_) | DestinationError::Silent | DestinationError::Unanswered(_))
        ),
        "{system:?}"
    );
}

#[tokio::test]
async fn only_a_name_that_certainly_does_not_exist_is_refused_at_submit() {
    let url: CallbackUrl = "https://hooks.example/".parse().unwrap();
    let refused = async |says| {
        let webhooks = Webhooks { destinations: destinations(&[], Arc::new(Says(says))), public_keys: [].into() };
        webhooks.fault(&url, &TenantName::default()).await.is_some()
    };
    for nobody in ["Name or service not known", "No address associated with hostname", "Name does not resolve"] {
        assert!(refused(nobody).await, "{nobody}");
    }
    for trouble in ["Temporary failure in name resolution", "Non-recoverable failure in name resolution", "Try again"] {
        assert!(!refused(trouble).await, "{trouble}");
    }
}

#[tokio::test]
async fn to_wait_for_a_look_up_is_not_the_receivers_silence() {
    let settings = settings(&[("timeout", "100ms")]);
    let destinations = Destinations::new(&settings.webhooks, names([&["127.0.0.1"]]));
    let (slow, clock): (TenantName, Arc<dyn Clock>) = ("slow".parse().unwrap(), SystemClock::shared());
    let urls: Vec<CallbackUrl> = (0..100).map(|n| format!("https://{n}.slow.example/").parse().unwrap()).collect();
    let mut held = Vec::new();
    for url in &urls {
        let Ok(visit) = tokio::time::timeout(Duration::from_millis(20), destinations.visit(url, &slow)).await else {
            break;
        };
        held.push(visit.unwrap());
    }
    assert_eq!(held.len(), 24, "as many as one tenant may have");
    let dialer = Dialer::new(&settings.webhooks, destinations, clock).unwrap();
    let url: CallbackUrl = "https://hooks.example/".parse().unwrap();
    let said = dialer.post(&url, &slow, HeaderMap::new(), Bytes::new()).await;
    assert!(matches!(said, Err(DialError::Destination(DestinationError::Busy))), "{said:?}");
    let said = dialer.post(&url, &TenantName::default(), HeaderMap::new(), Bytes::new()).await;
    assert!(matches!(said, Err(DialError::Destination(DestinationError::Resolved(_)))), "asked for: {said:?}");
}
