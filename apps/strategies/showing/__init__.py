"""What is drawn of versions, merge requests and deployments, by the admin and the dashboard alike."""
