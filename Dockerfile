# Serves an ONNX file of `ordinal export onnx`, without torch:
#   docker build --tag ordinal .
#   docker run --publish 127.0.0.1:8000:8000 --volume ./models/onnx:/models:ro ordinal
FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements.lock .
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.lock \
 && pip install --no-cache-dir --require-hashes --requirement uv.lock
# Everything that the server imports, at the versions and hashes of the lock.
RUN python -m venv /venv \
 && uv pip install --python /venv --no-cache --constraints requirements.lock \
    charset-normalizer fastapi jinja2 numpy onnxruntime prometheus-client pyarrow pydantic pyyaml \
    scipy tokenizers tqdm typer uvicorn
COPY pyproject.toml README.md LICENSE ./
COPY ordinal ordinal
RUN uv pip install --python /venv --no-cache --no-deps --build-constraints requirements.lock .

FROM python:3.12-slim
COPY --from=build /venv /venv
USER 10001:10001
EXPOSE 8000
HEALTHCHECK CMD ["/venv/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["/venv/bin/ordinal", "serve", "--host", "0.0.0.0"]
CMD ["--model", "/models/ordinal.onnx"]
