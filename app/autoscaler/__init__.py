"""The autoscaler: sizes worker pools by what their queues hold."""
