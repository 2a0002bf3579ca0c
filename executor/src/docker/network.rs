//! Where a container can be reached, out of its inspect: pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

/// A container's network, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `HostConfig.NetworkMode`: `bridge`, `host`, `none`, `container:ID`, a network's name.
    pub mode: String,
    /// The networks that it is in, by name, with its address there; IPv4 first.
    pub addresses: Vec<(String, IpAddr)>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettingsJson {
    #[serde(default)]
    networks: Option<BTreeMap<String, Option<EndpointJson>>>,
}

#[derive(Deserialize)]
struct EndpointJson {
    #[serde(rename = "IPAddress", default)]
    v4: Option<String>,
    #[serde(rename = "GlobalIPv6Address", default)]
    v6: Option<String>,
}

/// What is no address is none: an endpoint that is down has an empty one.
pub(super) fn read_network(mode: Option<String>, settings: Option<NetworkSettingsJson>) -> Network {
    let endpoints = settings.and_then(|settings| settings.networks);
    let endpoints: Vec<(String, EndpointJson)> = endpoints
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, endpoint)| Some((name, endpoint?)))
        .collect();
    let v4 = endpoints
        .iter()
        .map(|(name, endpoint)| (name, &endpoint.v4));
    let v6 = endpoints
        .iter()
        .map(|(name, endpoint)| (name, &endpoint.v6));
    let addresses = v4
        .chain(v6)
        .filter_map(|(name, text)| Some((name.clone(), text.as_deref()?.parse().ok()?)))
        .collect();
    Network {
        mode: mode.unwrap_or_default(),
        addresses,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_by_network_and_the_older_family_first() {
        let settings = serde_json::from_str(
            r#"{"IPAddress":"","Networks":{
                "front":{"IPAddress":"172.18.0.2","GlobalIPv6Address":"fd00::2"},
                "back":{"IPAddress":"172.19.0.2","GlobalIPv6Address":""},
                "down":{"IPAddress":"","GlobalIPv6Address":null},"none":null}}"#,
        )
        .unwrap();
        let network = read_network(Some("front".to_owned()), Some(settings));
        assert_eq!(network.mode, "front");
        let shown: Vec<String> = network
            .addresses
            .iter()
            .map(|(name, address)| format!("{name} {address}"))
            .collect();
        assert_eq!(
            shown,
            ["back 172.19.0.2", "front 172.18.0.2", "front fd00::2"]
        );
        assert_eq!(read_network(None, None), Network::default());
    }
}
