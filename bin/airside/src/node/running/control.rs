//! What the control API asks of a running node.

use airside_api::{
    Delivery, Node, Pushed, Receipt, Review,
    approvals::{Approval, Decide},
    findings::Verdict,
    wire,
};
use airside_base::{BoxFuture, Fault, Kind, TenantId};
use airside_evals::history;
use airside_gateway::metrics::Present;
use airside_supply::{
    intake::{Reply, Request},
    opera::{Refused, Topic},
};
use bytes::Bytes;

use super::{Current, Running};
use crate::node::{approvals, contracts, inventory};

impl Node for Running {
    fn status(&self) -> wire::Status {
        let current = self.current();
        let prices = current.travel.prices();
        let upstreams = self.snapshot.load();
        let upstreams = upstreams.upstreams().map(|upstream| wire::Upstream {
            name: upstream.id.to_string(),
            kind: upstream.kind.to_owned(),
            state: upstream.breaker.as_str().to_owned(),
        });
        wire::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.id().to_string(),
            pid: std::process::id(),
            started: self.started,
            data_dir: current.loaded.config.data_dir.display().to_string(),
            endpoints: self.endpoints(),
            upstreams: upstreams.collect(),
            control: self.place.control,
            config_digest: current.loaded.digest.to_string(),
            seal_key: self.place.seal_key.clone(),
            writer_nice: self.ledger.writer_nice(),
            prices: wire::Prices {
                held: prices.held,
                changed: prices.changed,
            },
        }
    }

    fn reload(&self) -> BoxFuture<'_, Result<wire::Reloaded, Fault>> {
        Box::pin(self.replace())
    }

    fn approvals(
        &self,
        tenant: TenantId,
        all: bool,
    ) -> BoxFuture<'_, Result<Vec<Approval>, Fault>> {
        Box::pin(approvals::list(self.desk(), tenant, all))
    }

    fn decide_approval(
        &self,
        decide: Decide,
        by: String,
    ) -> BoxFuture<'_, Result<Approval, Fault>> {
        Box::pin(approvals::decide(self.desk(), decide, by))
    }

    fn decide_finding(
        &self,
        decide: airside_api::findings::Decide,
        by: String,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let keeper = || self.inventory().ok_or_else(inventory::absent);
            match decide.verdict {
                Verdict::Mitigate => self.mitigate(decide, by).await,
                Verdict::Expose => self.expose(decide, by).await,
                Verdict::Extend => keeper()?.extend(decide, by).await,
                Verdict::Except => keeper()?.except(decide, by).await,
            }
        })
    }

    fn metrics(&self) -> String {
        let snapshot = self.snapshot.load();
        snapshot.metrics().text(&Present {
            version: env!("CARGO_PKG_VERSION"),
            instance: &self.id().to_string(),
            started: self.started,
            sessions: self.shared.sessions(),
            upstreams: snapshot.upstreams().collect(),
        })
    }

    fn limits(&self, most: usize) -> airside_api::limits::Limits {
        let snapshot = self.snapshot.load();
        let usage = snapshot.limits().map(|plan| plan.usage(most));
        let keys = usage.unwrap_or_default().into_iter();
        airside_api::limits::Limits {
            store: self.limits.store().to_owned(),
            keys: keys
                .map(|usage| airside_api::limits::Usage {
                    limit: usage.limit,
                    kind: usage.kind.to_owned(),
                    key: usage.key,
                    used: usage.used,
                    most: usage.most,
                    reset_s: usage.reset_s,
                })
                .collect(),
        }
    }

    fn reset_limit(&self, reset: airside_api::limits::Reset) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let snapshot = self.snapshot.load_full();
            let Some(plan) = snapshot.limits() else {
                return Ok(());
            };
            let reason = reset.reason.trim();
            plan.reset(&reset.limit, &reset.key, reason).await
        })
    }

    fn review(
        &self,
        asked: Review,
        request: Bytes,
    ) -> BoxFuture<'_, Result<serde_json::Value, Fault>> {
        let (ledger, clock) = (self.ledger.clone(), self.place.clock.clone());
        Box::pin(
            async move { crate::review::office::answer(ledger, clock, &asked, &request).await },
        )
    }

    fn evals(&self, tenant: TenantId) -> BoxFuture<'_, Result<serde_json::Value, Fault>> {
        let desk = history::Desk::new(self.ledger.clone(), self.place.clock.clone());
        Box::pin(async move { crate::eval::status::answer(&desk, &tenant).await })
    }

    fn record_eval(
        &self,
        tenant: TenantId,
        by: String,
        results: Bytes,
    ) -> BoxFuture<'_, Result<serde_json::Value, Fault>> {
        let desk = history::Desk::new(self.ledger.clone(), self.place.clock.clone());
        Box::pin(async move { crate::eval::status::record(&desk, &tenant, by, &results).await })
    }

    fn pushed(&self, pushed: Pushed) -> BoxFuture<'_, Result<(), Fault>> {
        let opera = self.current().opera;
        Box::pin(async move {
            let (Some(opera), Some(topic)) = (opera, Topic::find(pushed.topic)) else {
                return Err(Refused::NotHere.fault());
            };
            let sender = pushed.sender.as_deref();
            let taken = opera.push(sender, topic, &pushed.body).await;
            taken.map(drop).map_err(|refused| refused.fault())
        })
    }

    fn contracts(&self) -> Vec<wire::ContractRow> {
        contracts::all(self.shared.contracts())
    }

    fn contract(&self, of: &wire::ContractOf) -> Result<wire::Contract, Fault> {
        contracts::one(self.shared.contracts(), of)
    }

    fn decide_contract(
        &self,
        decision: wire::ContractDecision,
        by: String,
    ) -> BoxFuture<'_, Result<wire::ContractRow, Fault>> {
        Box::pin(contracts::decide(self.shared.contracts(), decision, by))
    }

    fn receive(&self, delivery: Delivery) -> BoxFuture<'_, Receipt> {
        let intake = self.current().intake;
        Box::pin(async move {
            let request = Request {
                sender: delivery.sender.as_deref(),
                version: delivery.version.as_deref(),
                action: delivery.action.as_deref(),
                document: &delivery.document,
            };
            match intake.receive(request).await {
                Reply::Document(xml) => Receipt::Document(xml),
                Reply::Wrong(text) => Receipt::Wrong(text),
                Reply::Later => Receipt::Later,
            }
        })
    }

    fn notice(&self, signature: String, body: Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        let Current {
            travel, checkout, ..
        } = self.current();
        Box::pin(async move {
            let Some(checkout) = checkout else {
                let text = "no payment provider with webhooks is set up";
                return Err(Fault::new(Kind::NotFound, "TRV-328", text)
                    .with_hint("set travel.payments with provider = \"checkout\""));
            };
            let now = self.place.clock.now();
            let notice = checkout.notice(&signature, &body, now);
            match notice.map_err(|error| error.fault())? {
                Some(notice) => {
                    travel
                        .payment_changed(&notice.tenant, &notice.payment)
                        .await
                }
                None => Ok(()),
            }
        })
    }
}
