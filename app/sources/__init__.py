"""The network, in: Tempo, Prometheus and Alertmanager as typed clients."""
