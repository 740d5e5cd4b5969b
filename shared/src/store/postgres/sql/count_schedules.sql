SELECT count(*) AS schedules FROM schedules WHERE tenant = $1 AND source = 'api'
