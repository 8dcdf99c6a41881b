"""Using a trained model: predicting, exporting, serving."""
