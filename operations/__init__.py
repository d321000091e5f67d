"""The platform as its operators see it: status, health, statistics, metrics of the database, the admin's overview."""
