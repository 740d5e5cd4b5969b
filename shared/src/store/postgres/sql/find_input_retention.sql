SELECT keep_seconds FROM erasures WHERE job_id = $1
