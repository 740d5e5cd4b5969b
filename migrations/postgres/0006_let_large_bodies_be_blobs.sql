-- A body that is too large for the row is in the blob store, and the row names it: size, SHA-256, name. Small bodies stay
-- as they are, and pay a bit in the row's bitmap of nulls.

ALTER TABLE jobs
    ADD COLUMN input_blob text,
    ADD COLUMN result_blob text,
    -- Null with a blob. A program that does not know of blobs then cannot take the job for one without input: it fails to
    -- read it, and gives it back.
    ALTER COLUMN input DROP NOT NULL;
