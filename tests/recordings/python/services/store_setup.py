"""A bucket with a report, and a user who may read what lies below `open/`; prints the user's key and its secret."""

import json
import sys

import boto3

given = {"region_name": "us-east-1", "endpoint_url": sys.argv[1], "aws_access_key_id": "a", "aws_secret_access_key": "b"}
objects, people = boto3.client("s3", **given), boto3.client("iam", **given)
objects.create_bucket(Bucket="reports")
objects.put_object(Bucket="reports", Key="open/june", Body=b"sunny")
people.create_user(UserName="reports")
statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::reports/open/*"}
policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
people.put_user_policy(UserName="reports", PolicyName="open", PolicyDocument=policy)
# The last of the requests that the store takes from anybody: the environment of its start counts them.
key = people.create_access_key(UserName="reports")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
