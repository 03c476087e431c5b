"""Gemini generateContent (https://ai.google.dev/api/generate-content), of Google and of Vertex AI."""
