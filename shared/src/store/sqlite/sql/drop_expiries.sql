-- A job that has started never expires. Its deadline is waited for again once the attempt has ended (`note_move`).
DELETE FROM timers WHERE purpose = 'expire' AND job_id IN (SELECT unhex(value) FROM json_each(?1))
