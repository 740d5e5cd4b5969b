//! Keys of callers, and the secrets that processes share.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::accept::check_texts;
use super::file::{failed, failed_or_rejected};
use super::rows::{self, Cell};
use crate::domain::{ApiKey, KeyHash, KeyId, Scope};
use crate::store::{FoundKeys, Keys, StoreError};

#[async_trait]
impl Keys for Sqlite {
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        check_texts([key.name.as_str()])?;
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/create_api_key.sql"))
            .bind(key.id.as_str())
            .bind(key.tenant.as_str())
            .bind(&key.name)
            .bind(&key.hash.0[..])
            .bind(rows::text_list(key.scopes.iter().map(|scope| scope.as_str())))
            .bind(rows::micros(key.created_at))
            .bind(key.expires_at.map(rows::micros));
        query.execute(&mut *write).await.map_err(failed_or_rejected)?;
        write.commit().await
    }

    async fn find_keys(&self, ids: &[KeyId]) -> Result<FoundKeys, StoreError> {
        let query =
            sqlx::query(include_str!("sql/find_api_keys.sql")).bind(rows::text_list(ids.iter().map(KeyId::as_str)));
        let mut found = FoundKeys::default();
        for row in query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)? {
            let cell = Cell::of("api_keys", &row);
            found.any = cell.get("any_key")?;
            if cell.get::<Option<&str>>("id")?.is_some() {
                found.keys.push(api_key(&row)?);
            }
        }
        Ok(found)
    }

    async fn list_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let query = sqlx::query(include_str!("sql/list_api_keys.sql"));
        let keys = query.fetch_all(&mut *self.file.reader().await?).await.map_err(failed)?;
        keys.iter().map(api_key).collect()
    }

    async fn revoke_key(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/revoke_api_key.sql")).bind(id.as_str()).bind(self.now());
        let revoked = query.fetch_optional(&mut *write).await.map_err(failed)?;
        let revoked = revoked.as_ref().map(api_key).transpose()?;
        write.commit().await?;
        Ok(revoked)
    }

    async fn record_key_uses(&self, ids: &[KeyId]) -> Result<(), StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query(include_str!("sql/record_api_key_uses.sql"))
            .bind(rows::text_list(ids.iter().map(KeyId::as_str)))
            .bind(self.now());
        query.execute(&mut *write).await.map_err(failed)?;
        write.commit().await
    }

    async fn find_secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut writer = self.file.writer().await?;
        let mut write = writer.begin().await?;
        let query = sqlx::query_scalar(include_str!("sql/find_secret.sql")).bind(name).bind(fresh);
        let value = query.fetch_one(&mut *write).await.map_err(failed)?;
        write.commit().await?;
        Ok(value)
    }
}

fn api_key(row: &SqliteRow) -> Result<ApiKey, StoreError> {
    let row = Cell::of("api_keys", row);
    let scopes: Vec<String> = row.json("scopes")?.unwrap_or_default();
    let scopes = scopes.iter().map(|scope| scope.parse::<Scope>().map_err(|error| row.inconsistent("scopes", error)));
    Ok(ApiKey {
        id: row.parse("id")?,
        tenant: row.parse("tenant")?,
        name: row.get("name")?,
        hash: KeyHash(row.digest("hash")?),
        scopes: scopes.collect::<Result<_, _>>()?,
        created_at: row.instant("created_at")?.ok_or_else(|| row.inconsistent("created_at", "is missing"))?,
        expires_at: row.instant("expires_at")?,
        revoked_at: row.instant("revoked_at")?,
        last_used_at: row.instant("last_used_at")?,
    })
}
