//! A sample operator: a Pond asks for fish, each becomes a ConfigMap that the Pond owns.

use std::{sync::Arc, time::Duration, time::Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind, Object},
    runtime::{
        Controller,
        controller::Action,
        finalizer::{Error as FinalizerError, Event, finalizer},
        watcher,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Outcome, STEP_TIMEOUT, Suite, expect};

const FINALIZER: &str = "example.com/drain";

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PondSpec {
    fish: i64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PondStatus {
    fish: i64,
    observed_generation: i64,
}

pub type Pond = Object<PondSpec, PondStatus>;

pub fn resource(group: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", "Pond"), "ponds")
}

/// The kind's definition, with a default and a status.
pub fn definition(group: &str) -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "default": {}, "properties": {"fish": {"type": "integer", "minimum": 0, "default": 1}}},
        "status": {"type": "object", "properties": {"fish": count, "observedGeneration": count}},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("ponds.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "ponds", "singular": "pond", "kind": "Pond", "listKind": "PondList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}],
        },
    })
}

struct Context {
    client: Client,
    resource: ApiResource,
}

impl Context {
    fn ponds(&self, namespace: &str) -> Api<Pond> {
        Api::namespaced_with(self.client.clone(), namespace, &self.resource)
    }

    fn config_maps(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Applies the children and the status.
    async fn fill(&self, pond: &Pond) -> Result<Action, kube::Error> {
        let namespace = pond.namespace().unwrap_or_default();
        let owner = pond.controller_owner_ref(&self.resource);
        let manager = PatchParams::apply("pond-keeper").force();
        for i in 0..pond.spec.fish {
            let name = format!("{}-fish-{i}", pond.name_any());
            let fish = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "ownerReferences": [owner]}, "data": {"pond": pond.name_any()}});
            self.config_maps(&namespace)
                .patch(&name, &manager, &Patch::Apply(fish))
                .await?;
        }
        let status = json!({"apiVersion": self.resource.api_version, "kind": self.resource.kind,
            "status": {"fish": pond.spec.fish, "observedGeneration": pond.metadata.generation}});
        self.ponds(&namespace)
            .patch_status(&pond.name_any(), &manager, &Patch::Apply(status))
            .await?;
        Ok(Action::await_change())
    }

    /// Leaves a note, so that the check knows it ran before the Pond was gone.
    async fn drain(&self, pond: &Pond) -> Result<Action, kube::Error> {
        let namespace = pond.namespace().unwrap_or_default();
        let note =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "drained"}});
        self.config_maps(&namespace)
            .patch(
                "drained",
                &PatchParams::apply("pond-keeper"),
                &Patch::Apply(note),
            )
            .await?;
        Ok(Action::await_change())
    }
}

async fn reconcile(
    pond: Arc<Pond>,
    context: Arc<Context>,
) -> Result<Action, FinalizerError<kube::Error>> {
    let api = context.ponds(&pond.namespace().unwrap_or_default());
    finalizer(&api, FINALIZER, pond, |event| async {
        match event {
            Event::Apply(pond) => context.fill(&pond).await,
            Event::Cleanup(pond) => context.drain(&pond).await,
        }
    })
    .await
}

/// Runs the operator while a user creates, changes and deletes a Pond.
pub async fn reconciles(s: &Suite) -> Outcome {
    let context = Arc::new(Context {
        client: s.client.clone(),
        resource: resource(&s.group),
    });
    let ponds = context.ponds(&s.namespace);
    let fish = context.config_maps(&s.namespace);
    let controller = Controller::new_with(
        ponds.clone(),
        watcher::Config::default(),
        context.resource.clone(),
    )
    .owns(fish.clone(), watcher::Config::default())
    .run(
        reconcile,
        |_, _, _| Action::requeue(Duration::from_millis(200)),
        context.clone(),
    )
    .for_each(|_| std::future::ready(()));
    let running = tokio::spawn(controller);
    let outcome = keep(&ponds, &fish, &context.resource).await;
    running.abort();
    outcome
}

async fn keep(ponds: &Api<Pond>, fish: &Api<ConfigMap>, resource: &ApiResource) -> Outcome {
    let pond: Pond =
        serde_json::from_value(json!({"apiVersion": resource.api_version, "kind": "Pond",
        "metadata": {"name": "small"}, "spec": {"fish": 1}}))?;
    ponds.create(&PostParams::default(), &pond).await?;
    let filled = settled(ponds, 1).await?;
    expect(filled.finalizers() == [FINALIZER], || format!("{filled:?}"))?;
    let child = fish.get("small-fish-0").await?;
    expect(
        child.owner_references()[0].uid == filled.uid().unwrap_or_default(),
        || format!("{child:?}"),
    )?;

    ponds
        .patch(
            "small",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"fish": 2}})),
        )
        .await?;
    let grown = settled(ponds, 2).await?;
    expect(grown.metadata.generation == Some(2), || {
        format!("{grown:?}")
    })?;

    fish.delete("small-fish-1", &DeleteParams::default())
        .await?;
    let deadline = Instant::now() + STEP_TIMEOUT;
    while fish.get_opt("small-fish-1").await?.is_none() {
        expect(Instant::now() < deadline, || {
            "a deleted child does not come back".into()
        })?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    ponds.delete("small", &DeleteParams::default()).await?;
    while ponds.get_opt("small").await?.is_some() {
        expect(Instant::now() < deadline, || "the pond stays".into())?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fish.get("drained").await?;
    Ok(())
}

/// Waits until the operator has seen the current generation and counts so many fish.
async fn settled(ponds: &Api<Pond>, fish: i64) -> Result<Pond, Box<dyn std::error::Error>> {
    let deadline = Instant::now() + STEP_TIMEOUT;
    loop {
        let pond = ponds.get("small").await?;
        let status = pond.status.clone().unwrap_or_default();
        if status.fish == fish && Some(status.observed_generation) == pond.metadata.generation {
            return Ok(pond);
        }
        expect(Instant::now() < deadline, || {
            format!("not settled: {pond:?}")
        })?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
