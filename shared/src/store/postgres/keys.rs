//! Keys of callers, and the secrets that replicas share.

use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::database::{Database, Lane};
use super::rows::Cells;
use crate::domain::{ApiKey, KeyHash, KeyId, Scope};
use crate::store::{FoundKeys, Keys, StoreError};

#[async_trait]
impl Keys for Database {
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("sql/create_api_key.sql"))
            .bind(key.id.as_str())
            .bind(key.tenant.as_str())
            .bind(&key.name)
            .bind(key.hash.0.as_slice())
            .bind(key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>())
            .bind(key.created_at)
            .bind(key.expires_at);
        self.fetch(Lane::Durable, query).await.map(drop)
    }

    async fn find_keys(&self, ids: &[KeyId]) -> Result<FoundKeys, StoreError> {
        let ids: Vec<&str> = ids.iter().map(KeyId::as_str).collect();
        let rows = self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/find_api_keys.sql")).bind(ids)).await?;
        let mut found = FoundKeys::default();
        for row in &rows {
            let cells = Cells::of("api_keys", row);
            found.any = cells.get("any_key")?;
            if cells.get::<Option<&str>>("id")?.is_some() {
                found.keys.push(api_key(row)?);
            }
        }
        Ok(found)
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows = self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/list_api_keys.sql"))).await?;
        rows.iter().map(api_key).collect()
    }

    async fn revoke_key(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let query = sqlx::query(include_str!("sql/revoke_api_key.sql")).bind(id.as_str());
        self.fetch(Lane::Durable, query).await?.first().map(api_key).transpose()
    }

    async fn record_key_uses(&self, ids: &[KeyId]) -> Result<(), StoreError> {
        let ids: Vec<&str> = ids.iter().map(KeyId::as_str).collect();
        self.fetch(Lane::Relaxed, sqlx::query(include_str!("sql/record_api_key_uses.sql")).bind(ids)).await.map(drop)
    }

    async fn find_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let query = sqlx::query(include_str!("sql/find_secret.sql")).bind(name).bind(fresh);
        let rows = self.fetch(Lane::Durable, query).await?;
        let row = rows.first().ok_or_else(|| StoreError::unavailable(sqlx::Error::RowNotFound))?;
        Cells::of("secrets", row).get("value")
    }
}

fn api_key(row: &PgRow) -> Result<ApiKey, StoreError> {
    let cells = Cells::of("api_keys", row);
    let scopes = cells.get::<Vec<String>>("scopes")?;
    let scopes = scopes.iter().map(|scope| scope.parse::<Scope>().map_err(|error| cells.wrong("scopes", error)));
    Ok(ApiKey {
        id: cells.parse("id")?,
        tenant: cells.parse("tenant")?,
        name: cells.get("name")?,
        hash: KeyHash(cells.digest("hash")?),
        scopes: scopes.collect::<Result<_, _>>()?,
        created_at: cells.get("created_at")?,
        expires_at: cells.get("expires_at")?,
        revoked_at: cells.get("revoked_at")?,
        last_used_at: cells.get("last_used_at")?,
    })
}
