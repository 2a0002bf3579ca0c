//! At which address the executor reaches a container, and whether it can at all.
//!
//! Keeps true: where the executor cannot reach a container by design (another network,
//! no network), that is said, and never taken for a fault of the container.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::config::Endpoint;
use crate::docker::{Client, Docker, Network};
use crate::resolve::OwnContainer;

/// Names that are looked up at once: each may hang in a thread of its own. Further ones wait
/// for their turn: probes of one target begin in the same instant.
const LOOKUPS_MAX: usize = 4;
/// How long what was learnt of our own networks is good.
const OWN_FRESH: Duration = Duration::from_secs(60);
/// Longest wait for the engine.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Shared by all probes.
#[derive(Debug)]
pub(super) struct Reach {
    docker: Rc<Client>,
    own: OwnContainer,
    own_network: RefCell<Option<(Instant, Network)>>,
    lookups: Arc<Semaphore>,
}

impl Reach {
    pub(super) fn new(docker: Rc<Client>, own: OwnContainer) -> Self {
        Self {
            docker,
            own,
            own_network: RefCell::new(None),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// Where to connect to; or why that is not known until then.
    pub(super) async fn find(
        &self,
        endpoint: &Endpoint,
        network: &Network,
        until: Instant,
    ) -> Result<SocketAddr, String> {
        let ip = match &endpoint.host {
            None => timeout_at(until, self.container(network))
                .await
                .map_err(|_| "its address was not found in time".to_owned())??,
            Some(host) => match host.parse() {
                Ok(ip) => ip,
                Err(_) => self.named(host, until).await?,
            },
        };
        Ok(SocketAddr::new(ip, endpoint.port))
    }

    async fn container(&self, network: &Network) -> Result<IpAddr, String> {
        let mut network = network.clone();
        // At most one step: a parent with a parent of its own is refused by the engine.
        if let Some(parent) = network.mode.strip_prefix("container:") {
            let parent = self.docker.inspect(parent, LOOK_MAX).await;
            let parent = parent.map_err(|e| e.to_string())?;
            network = parent
                .ok_or("the container whose network it is in is gone")?
                .network;
        }
        let own = self.own_network().await?;
        if network.mode == "host" {
            return match own {
                Some(own) if own.mode != "host" => Err(
                    "it is in the host's network, and the executor is not: give the probe a host"
                        .to_owned(),
                ),
                _ => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            };
        }
        let is_shared = |name: &str| match &own {
            Some(own) if own.mode != "host" => own.addresses.iter().any(|(own, _)| own == name),
            _ => true,
        };
        let mut addresses = network.addresses.iter();
        match addresses.find(|(name, _)| is_shared(name)) {
            Some((_, ip)) => Ok(*ip),
            None if network.addresses.is_empty() => Err(
                "it has no address of its own: give the probe a host, or use an exec probe"
                    .to_owned(),
            ),
            None => Err(
                "it shares no network with the executor's own container: put them in one, or use \
                 an exec probe"
                    .to_owned(),
            ),
        }
    }

    /// None where we run outside of containers, as far as can be told.
    async fn own_network(&self) -> Result<Option<Network>, String> {
        let Some(id) = self.own.ids().first() else {
            return Ok(None);
        };
        if let Some((at, network)) = &*self.own_network.borrow()
            && at.elapsed() < OWN_FRESH
        {
            return Ok(Some(network.clone()));
        }
        let own = self.docker.inspect(id, LOOK_MAX).await;
        // An id of another engine's: not known to this one, which tells nothing.
        let Some(own) = own.map_err(|e| e.to_string())? else {
            return Ok(None);
        };
        self.own_network
            .replace(Some((Instant::now(), own.network.clone())));
        Ok(Some(own.network))
    }

    /// The system's own resolver, which may hang: in a thread, and with a slot, until it ends.
    async fn named(&self, host: &str, until: Instant) -> Result<IpAddr, String> {
        let slot = timeout_at(until, Arc::clone(&self.lookups).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(format!("{LOOKUPS_MAX} look-ups of names hang already"));
        };
        let (found, waiting) = oneshot::channel();
        let name = host.to_owned();
        let thread = std::thread::Builder::new().name("probe-name".to_owned());
        let looking_up = move || {
            let looked_up = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0));
            let first = looked_up.map(|mut addresses| addresses.next().map(|a| a.ip()));
            // The probe may have given up.
            let _ = found.send(first);
            drop(slot);
        };
        thread
            .spawn(looking_up)
            .map_err(|e| format!("no thread to look up {host} in: {e}"))?;
        match timeout_at(until, waiting).await {
            Ok(Ok(Ok(Some(ip)))) => Ok(ip),
            Ok(Ok(Ok(None)) | Err(_)) => Err(format!("{host} has no address")),
            Ok(Ok(Err(e))) => Err(format!("{host} cannot be looked up: {e}")),
            Err(_) => Err(format!("{host} was not looked up in time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach() -> Reach {
        let docker = Rc::new(Client::new("/nowhere/docker.sock"));
        Reach::new(docker, OwnContainer::default())
    }

    async fn find(reach: &Reach, within: Duration) -> Result<SocketAddr, String> {
        let endpoint = Endpoint {
            host: Some("localhost".to_owned()),
            port: 80,
        };
        let until = Instant::now() + within;
        reach.find(&endpoint, &Network::default(), until).await
    }

    #[tokio::test]
    async fn more_names_than_are_looked_up_at_once_wait_for_their_turn() {
        let reach = reach();
        let one = || find(&reach, Duration::from_secs(30));
        let all = tokio::join!(one(), one(), one(), one(), one(), one());
        for found in [all.0, all.1, all.2, all.3, all.4, all.5] {
            assert!(found.is_ok_and(|address| address.ip().is_loopback()));
        }
    }

    #[tokio::test]
    async fn look_ups_that_hang_are_told_once_the_time_is_over() {
        let reach = reach();
        let hanging = Arc::clone(&reach.lookups);
        let hanging = hanging.acquire_many(LOOKUPS_MAX as u32).await.unwrap();
        let found = find(&reach, Duration::from_millis(50)).await;
        assert_eq!(found.unwrap_err(), "4 look-ups of names hang already");
        drop(hanging);
        assert!(find(&reach, Duration::from_secs(30)).await.is_ok());
    }
}
